#!/bin/bash
# Bring a real lab up, run tests/real on it, bring it down. Options for lab up
# come first (--zun 16), arguments for stestr after --. With --browser it has
# Horizon, and tests/browser run instead; with --browser-too, both.
# STESTR is the command that runs them, stestr unless told otherwise.
set -euo pipefail

HERE=$(dirname "$(readlink -f "$0")")
LAB=$HERE/real/lab
read -ra stestr <<<"${STESTR:-$(command -v stestr)}"
((${#stestr[@]})) || { echo "real-tests: there is no stestr" >&2; exit 1; }

up=() horizon=() suites=(real) zun=18
while (($#)) && [[ $1 != -- ]]; do
    case $1 in
        --browser) suites=(browser) ;;
        --browser-too) suites=(real browser) ;;
        *)
            [[ $1 != --zun ]] || zun=$2
            up+=("$1")
            ;;
    esac
    shift
done
[[ ${suites[*]} == real ]] || horizon=(--horizon)
[[ ${1:-} != -- ]] || shift

# shellcheck disable=SC2317  # the trap calls it
clean_up() {
    local status=$?
    trap '' INT TERM
    "$LAB" down || true
    exit "$status"
}

"$LAB" install --zun "$zun" "${horizon[@]}" ${horizon:+--browser}
"$LAB" wipe
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$LAB" up --hosts 2 --net kuryr "${horizon[@]}" "${up[@]}"
# In a subshell, for the environment puts the lab's own commands first in PATH.
(
    eval "$("$LAB" env)"
    cd "$HERE/../.."
    status=0 combine=()
    for suite in "${suites[@]}"; do
        "${stestr[@]}" --test-path "./tests/$suite" run --serial \
            "${combine[@]}" "$@" || status=$?
        combine=(--combine)
    done
    exit "$status"
)
