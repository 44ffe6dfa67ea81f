#!/bin/bash
# Starts a real lab, runs tests/real on it and stops it. Options for "lab up"
# come first (--zun 16), then arguments for stestr. With --browser, the lab
# contains Horizon, and tests/browser run instead; with --browser-too, both.
# STESTR is the command that runs the tests, by default stestr.
set -euo pipefail

HERE=$(dirname "$(readlink -f "$0")")
LAB=$HERE/real/lab
read -ra stestr <<<"${STESTR:-$(command -v stestr)}"
((${#stestr[@]})) || { echo "real-tests: stestr not found" >&2; exit 1; }

up=() horizon=() suites=(real) zun=18
while (($#)); do
    case $1 in
        --browser) suites=(browser) ;;
        --browser-too) suites=(real browser) ;;
        --zun | --hosts | --net)
            [[ $1 != --zun ]] || zun=$2
            up+=("$1" "$2")
            shift
            ;;
        --kolla) up+=("$1") ;;
        *) break ;;
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
    # Those of an earlier run.
    ((!${#horizon[@]})) || rm -rf "$LAB_ROOT/screenshots"
    status=0 combine=()
    for suite in "${suites[@]}"; do
        "${stestr[@]}" --test-path "./tests/$suite" run --serial \
            "${combine[@]}" "$@" || status=$?
        combine=(--combine)
    done
    ((!${#horizon[@]})) ||
        echo "real-tests: pictures of the pages are in $LAB_ROOT/screenshots"
    exit "$status"
)
