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

"""The figures of a run, which is best, and how they are shown."""

import dataclasses
import json
import re


@dataclasses.dataclass
class Run:
    """One load, measured once.

    :ivar kind: ``raw``, ``stock`` or ``bulk``
    :ivar label: the kind and its in-flight or clients, for people
    :ivar size: in-flight or clients
    :ivar pinned: whether the engines had a CPU of their own
    :ivar count: containers asked for
    :ivar seconds: from the first request to the start of the last verified
        container, None if there is none
    :ivar told: seconds until the client could know that all had ended; a
        bulk's own settle time is in it
    :ivar hosts: verified containers by host
    :ivar reasons: why the others failed, counted
    :ivar cpu: CPU seconds by process, ``machine`` being all of them
    """

    kind: str
    label: str
    size: int
    pinned: bool
    count: int
    seconds: float | None
    told: float
    hosts: dict
    reasons: dict
    cpu: dict

    @property
    def verified(self):
        return sum(self.hosts.values())

    @property
    def failed(self):
        return self.count - self.verified

    @property
    def per_s(self):
        """Verified containers per second."""
        return self.verified / self.seconds if self.seconds else 0.0

    @property
    def cpu_each(self):
        """CPU seconds of the whole machine per verified container."""
        return self.cpu['machine'] / self.verified if self.verified else 0.0

    @property
    def cpu_lab_each(self):
        """CPU seconds of the lab's own processes per verified container.

        The kernel's share that no process is charged with is not in it, nor
        is what else the machine does.
        """
        used = sum(
            seconds
            for name, seconds in self.cpu.items()
            if name not in ('machine', 'bench')
        )
        return used / self.verified if self.verified else 0.0

    def as_dict(self):
        return {
            **dataclasses.asdict(self),
            'verified': self.verified,
            'failed': self.failed,
            'per_s': self.per_s,
        }


def best(runs, kind, pinned=False):
    """Return the fastest run of a kind, or None.

    A run with failures counts only if no run was without: what fails early
    is soon done.
    """
    chosen = [run for run in runs if run.kind == kind and run.pinned == pinned]
    return max(
        chosen, key=lambda run: (not run.failed, run.per_s), default=None
    )


def ratio(one, other):
    """Return the ratio of two runs' rates, None where one is missing."""
    if one is None or other is None or not other.per_s:
        return None
    return round(one.per_s / other.per_s, 3)


def summary(runs):
    """Return the last line of the end-to-end benchmark, as a dict."""
    raw, stock, bulk = (best(runs, kind) for kind in ('raw', 'stock', 'bulk'))
    raw_pinned, stock_pinned, bulk_pinned = (
        best(runs, kind, pinned=True) for kind in ('raw', 'stock', 'bulk')
    )
    return {
        'raw_per_s': rate(raw),
        'stock_per_s': rate(stock),
        'bulk_per_s': rate(bulk),
        'raw_pinned_per_s': rate(raw_pinned),
        'stock_pinned_per_s': rate(stock_pinned),
        'bulk_pinned_per_s': rate(bulk_pinned),
        'ratio_raw': ratio(bulk, raw),
        'ratio_raw_pinned': ratio(bulk_pinned, raw_pinned),
        'ratio_stock': ratio(bulk, stock),
        'ratio_stock_pinned': ratio(bulk_pinned, stock_pinned),
        'cpu_s_per_container': bulk and round(bulk.cpu_each, 3),
        'cpu_s_per_container_lab': bulk and round(bulk.cpu_lab_each, 3),
        'cpu_s_per_container_stock': stock and round(stock.cpu_each, 3),
        'cpu_s_per_container_raw': raw and round(raw.cpu_each, 3),
        'failed': failures(runs, 'bulk'),
        'failed_stock': failures(runs, 'stock'),
        'failed_raw': failures(runs, 'raw'),
    }


def rate(run):
    return run and round(run.per_s, 3)


def failures(runs, kind):
    return sum(run.failed for run in runs if run.kind == kind)


def table(header, rows):
    """Return lines of right-aligned columns, the first left-aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        '  '.join(
            [row[0].ljust(widths[0])]
            + [
                cell.rjust(width)
                for cell, width in zip(row[1:], widths[1:], strict=True)
            ]
        ).rstrip()
        for row in cells
    ]


def run_table(runs):
    """Return a line for each run."""
    header = [
        'run',
        'engines',
        'asked',
        'failed',
        'seconds',
        'per second',
        'told after',
        'CPU s each',
        'spread',
    ]
    return table(
        header,
        [
            [
                run.label,
                'own CPU' if run.pinned else 'share',
                run.count,
                run.failed,
                number(run.seconds, 1),
                number(run.per_s, 2),
                number(run.told, 1),
                number(run.cpu_each, 2),
                ' '.join(
                    f'{host}: {count}'
                    for host, count in sorted(run.hosts.items())
                )
                or '-',
            ]
            for run in runs
        ],
    )


def cpu_table(runs):
    """Return CPU milliseconds per verified container, by process."""
    runs = [run for run in runs if run.verified]
    bills = [cpu_bill(run) for run in runs]
    names = sorted(
        set().union(*bills),
        key=lambda name: -max(bill.get(name, 0) for bill in bills),
    )
    header = [
        'CPU ms each',
        *(run.label + (', own CPU' if run.pinned else '') for run in runs),
    ]
    return table(
        header,
        [
            [name, *(f'{bill.get(name, 0):.0f}' for bill in bills)]
            for name in names
            if max(bill.get(name, 0) for bill in bills) >= 0.5
        ],
    )


def cpu_bill(run):
    """Return CPU milliseconds per container by process, hosts summed."""
    bill = {}
    for name, seconds in run.cpu.items():
        name = re.sub(r'-\d+$', '', name)
        if name != 'machine':
            bill[name] = bill.get(name, 0) + seconds * 1000 / run.verified
    bill['all'] = run.cpu_each * 1000
    bill['other'] = bill['all'] - sum(
        value for name, value in bill.items() if name != 'all'
    )
    return bill


def reason_lines(runs):
    """Return why containers failed, a line for each run and reason."""
    return [
        f'{run.label}: {count} x {reason}'
        for run in runs
        for reason, count in sorted(run.reasons.items())
    ]


def number(value, digits):
    return '-' if value is None else f'{value:.{digits}f}'


def json_line(values):
    return json.dumps(values, sort_keys=True)
