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

from tests.real import base


class TestAccept(base.RealTestCase):
    """The API answers soon, however many containers are asked for."""

    def accept(self, count, **more):
        """Return the seconds until the answer."""
        # No host is in this zone: accepting is all that is to happen.
        status, bulk, taken = self.post_bulk(
            count, {'availability_zone': 'nowhere'}, **more
        )
        self.assertEqual(202, status, bulk)
        self.assertEqual(count, bulk['count'])
        self.assertEqual(count, sum(bulk['members'].values()))
        # 202 only after the commit: the members are there for all to see.
        page = self.zun.request(
            'GET', f'/bulks/{bulk["uuid"]}/members?limit=1&sort_dir=desc'
        )[1]
        self.assertEqual(count, page['members'][0]['index'])
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
        return taken

    def accept_within(self, count, seconds, **more):
        # The machine may be busy with something else the first time.
        taken = [self.accept(count, **more)]
        while min(taken) >= seconds and len(taken) < 3:
            taken.append(self.accept(count, **more))
        self.assertLess(min(taken), seconds, taken)

    def test_accept_1000(self):
        self.accept_within(1000, seconds=1)

    def test_accept_1000_that_differ(self):
        self.accept_within(
            1000,
            seconds=2,
            members=[
                {
                    'name': f'm-{number}',
                    'hostname': f'm-{number}',
                    'environment': {'NUMBER': str(number)},
                    'addresses': [
                        f'10.77.{210 + number // 250}.{number % 250}'
                    ],
                }
                for number in range(1, 1001)
            ],
        )

    def test_accept_10000(self):
        self.accept_within(10000, seconds=5)

    def test_one_more_than_allowed(self):
        status, answer, _taken = self.post_bulk(10001)
        self.assertEqual(400, status)
        self.assertIn('10000', answer['errors'][0]['detail'])
        self.assert_nothing_left()
