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


import threading

import fixtures
from oslotest import base

from zun_bulk.osc import spool as spools


class TestSpool(base.BaseTestCase):
    def test_concurrent_writes(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.spool.MEMORY', 4096)
        )
        spool = spools.Spool()
        self.addCleanup(spool.close)
        written = {
            name: [(n, f'{name} {n} ' + 'ü' * (n % 50)) for n in range(3000)]
            for name in 'abcd'
        }
        places = {}

        def store(name):
            places[name] = spool.store(iter(written[name]))

        threads = [
            threading.Thread(target=store, args=name) for name in written
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, lines in written.items():
            self.assertEqual(lines, list(spool.read(places[name])))

    def test_unencodable_text(self):
        spool = spools.Spool()
        self.addCleanup(spool.close)
        places = spool.store([(1, 'a\ud800'), (2, ''), (3, 'b\rc d')])
        self.assertEqual(
            [(1, 'a?'), (2, ''), (3, 'b\rc d')], list(spool.read(places))
        )
        self.assertEqual([], spool.store([]))
