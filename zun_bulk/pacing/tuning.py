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

"""The constants of the pacing algorithm: pure.

Times are in seconds, rates in starts per second.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What the limit, the token bucket, the breaker and the pacer go by."""

    # ------------------------------------------------- the adaptive limit

    #: The limit at first. Hardly any host does better with one, and where
    #: starts take seconds, a limit of one costs the most.
    initial_limit: int = 2

    #: Starts in a window, or the limit if that is more. Fewer say little (see
    #: ``initial_noise``), more take long to show a change.
    window_starts: int = 12
    #: The same while the limit doubles: a limit that is far too low costs
    #: more than a wrong step does.
    doubling_window_starts: int = 3
    #: Fraction of the limit that must have been in flight, on average, for a
    #: window to count: otherwise it does not show what the host can do.
    busy_fraction: float = 0.7
    #: A window that takes this many times as long as expected ends early.
    late_window_factor: float = 2.25

    #: Limits whose rates differ by less than this fraction count as equal.
    #: The smallest of them is the best: it keeps the engine responsive.
    equal_rate_margin: float = 0.03

    #: How much the durations of starts vary: the variance of one over the
    #: square of the mean. This value is assumed until windows have measured
    #: it, and counts as much as ``initial_noise_windows`` of them.
    initial_noise: float = 0.3
    initial_noise_windows: int = 8
    #: The most that one window may contribute to the measured noise: a host
    #: that has changed is not noise.
    max_noise_sample: float = 2.0
    #: Number of windows that the measured noise is averaged over.
    noise_windows: int = 40

    #: How far the search explores. A limit is tried if it would be the best
    #: with a rate that is k standard deviations better than estimated; k is
    #: the square root of this value times the logarithm of the number of
    #: starts remembered: about 1 after 30 starts, 1.3 after 300.
    exploration: float = 0.3
    #: A limit that was not tried is estimated to have the rate of the best
    #: one if it is larger. If it is smaller, its rate is estimated to be lower
    #: by this fraction of the logarithm of the ratio of the two limits (0: not
    #: lower; 1: about in proportion to the limit).
    untried_loss: float = 0.5
    #: The standard deviation of that estimate, as a fraction of the same
    #: logarithm.
    untried_deviation: float = 0.5
    #: The smallest step to a neighbouring limit, as a fraction of the limit:
    #: a difference below an eighth cannot be measured.
    min_step: float = 0.125

    #: A rate is the average of at most this many starts, so that it follows
    #: changes of its host.
    max_averaged_starts: int = 100
    #: Number of starts after which the weight of what was learned about a
    #: limit has fallen to about a third.
    memory_starts: int = 1000
    #: A limit whose record weighs less than this many starts is forgotten.
    min_record_starts: float = 0.5

    #: A host has changed if its rate differs by this factor, up or down, and
    #: by ``change_deviations`` standard deviations.
    change_ratio: float = 2.0
    change_deviations: float = 5.0
    #: Fraction of their weight that records keep after the host has changed.
    weight_after_change: float = 0.5

    #: Fraction of the limit that is left after a cut for an overload or a
    #: slower host.
    hard_cut: float = 0.5
    #: The same after a cut for a failure under load.
    soft_cut: float = 0.9
    #: Number of starts, as a fraction of the limit, that must succeed for
    #: each step back up after a cut.
    climb_fraction: float = 0.5
    #: A second overload in a row counts as this many starts at half the rate.
    repeated_overload_starts: int = 12

    # --------------------------------------------------- the token bucket

    #: Starts allowed per start that succeeds: otherwise starts that fail at
    #: once would be repeated at any rate. 2, because a new limit doubles.
    tokens_per_success: float = 2.0
    #: A rate of starts that is always allowed, and one that is never
    #: exceeded.
    min_start_rate: float = 10.0
    max_start_rate: float = 1000.0

    # -------------------------------------------------------- the breaker

    #: The breaker opens after this many overloads in a row, ...
    breaker_overloads_in_row: int = 5
    #: ... or after more than ``breaker_recent_overloads`` among the last
    #: ``breaker_recent_starts``.
    breaker_recent_starts: int = 20
    breaker_recent_overloads: int = 10
    #: How long the breaker stays open, with full jitter.
    breaker_open_min: float = 5.0
    breaker_open_max: float = 60.0
    #: Number of starts, one at a time, that must succeed to close it.
    breaker_trial_starts: int = 3
    #: A ping of the engine that takes longer counts as unanswered.
    ping_max: float = 5.0

    # ---------------------------------------------------------- the pacer

    #: Bounds of the time after which a start that has not ended is checked.
    deadline_min: float = 30.0
    deadline_max: float = 120.0
    #: Number of starts whose durations make the deadline and the median and
    #: 95th percentile that operators see.
    sampled_durations: int = 200
    #: Seconds over which the rate is averaged that operators see.
    shown_rate_seconds: float = 60.0


TUNING = Tuning()
