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


from oslo_config import cfg


GROUP = cfg.OptGroup(
    'zun_bulk_pacing', title='How fast a host starts containers'
)

OPTS = [
    cfg.StrOpt(
        'mode',
        default='adaptive',
        choices=[
            ('adaptive', 'find what the host can take, up to max_in_flight'),
            ('fixed', 'always max_in_flight'),
        ],
        help="""
How the number of containers is found that a host starts at the same time.

A Docker Engine has a knee: beyond some number of starts at the same time it
starts fewer a second, and then fails them. ``adaptive`` looks at how many it
starts a second and stays at the knee; it needs no setting for a host, follows
one that changes, and halves its number when the engine is overloaded. Choose
``fixed`` to rule out pacing while looking for the cause of something else, or
where a number has proven itself.
""",
    ),
    cfg.IntOpt(
        'max_in_flight',
        default=0,
        min=0,
        max=256,
        help="""
The most containers that a host starts at the same time, and the most that it
stops or deletes.

With ``mode = adaptive`` it is the bound of what is tried, with ``mode =
fixed`` what is done. 0 is four for each CPU of the host, 32 at most, and with
``mode = fixed`` two for each host. Bulks, single containers, restarts and
capsules count alike.
""",
    ),
    cfg.FloatOpt(
        'start_interval',
        default=0.0,
        min=0.0,
        max=3600.0,
        help="""
Seconds between two starts on a host at least, whatever else would allow more.

0 is as fast as the host can take. 30 is what operators used to do by hand:
choose such a value only for what pacing does not see, as an application whose
first minute costs its host dearly.
""",
    ),
]


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
