#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
"""Zun's volume mappings for the mounts of a member."""

from zun import objects

from zun_bulk.volume import mounts


def make(context, bulk, member):
    """Make the volume mappings for Zun's container_create.

    Writes the volumes to Zun's database; Zun itself writes the mappings.

    :param context: the request context for Zun's objects.
    :returns: [VolumeMapping].
    """
    mappings = []
    new = mounts.volume_ids(member)
    for number, mount in enumerate(mounts.of(bulk, member)):
        is_file = mount.get('type') == 'bind'
        values = {
            'cinder_volume_id': new.get(str(number)),
            # Zun deletes it with the container.
            'auto_remove': str(number) in new,
            'volume_provider': 'local' if is_file else 'cinder',
            'contents': mount.get('source', '') if is_file else None,
            'user_id': bulk.user_id,
            'project_id': bulk.project_id,
        }
        if not is_file and not values['cinder_volume_id']:
            values['cinder_volume_id'] = mount['source']
        volume = objects.Volume(context, **values)
        volume.create(context)
        mappings.append(
            objects.VolumeMapping(
                context,
                volume_id=volume.id,
                container_uuid=member.container_uuid,
                container_path=mount['destination'],
                **values,
            )
        )
    return mappings
