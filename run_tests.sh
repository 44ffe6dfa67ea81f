#!/bin/bash
# Runs the tests in their own virtual environment. The last line is
# "N passed, N failed"; the exit status is 0 only if none failed.
#
#   ./run_tests.sh [--zun 16|17|18] [--full] [REGEX...]
#
#   --zun N      release of Zun to test with: 16, 17 or 18 (18)
#   --full       run the unit and functional tests with Zun 18; with Zun 16,
#                except those in tests/beside-one-zun.txt; with Zun 17, only
#                those in tests/beside-zun-17.txt; the style checks; and tests
#                on a real OpenStack, some of them in a browser, except those
#                that take long ("tox -e real" runs all). The latter need root
#                and the Debian packages that
#                "tests/lab/real/lab missing --browser" prints
#   REGEX        run only the unit and functional tests whose names match
#
# Without --full, no root is needed, and nothing outside of this directory is
# changed. PYTHON (python3) is the interpreter, 3.11 or newer.

set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")"

PYTHON=${PYTHON:-python3}
PASSED=0
FAILED=0
begun=()
failures=()
lab_installation=""
trap 'print_times; exit 143' TERM
trap '[[ ! $lab_installation ]] || kill "$lab_installation" 2>/dev/null || true' EXIT
# The output and the logs of tests are shown only for failed ones.
export OS_LOG_CAPTURE=1 OS_STDOUT_CAPTURE=1 OS_STDERR_CAPTURE=1

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

die() {
    echo "run_tests.sh: $*" >&2
    exit 2
}

count() { # PASSED FAILED
    PASSED=$((PASSED + $1))
    FAILED=$((FAILED + $2))
}

title() { # TEXT
    begun+=("$(printf '%5d s  %s' "$SECONDS" "$1")")
    printf '\n== %s\n' "$1"
}

print_times() { # at the end, also of an interrupted run
    printf '\nStart of each part:\n'
    printf '%s\n' "${begun[@]}"
}

check_step() { # TITLE COMMAND...: counts as one test
    local name=$1
    title "$name"
    shift
    if "$@"; then
        count 1 0
    else
        count 0 1
        failures+=("$name")
    fi
}

stamp() { # CONSTRAINTS: changes with whatever decides what gets installed
    "$PYTHON" --version
    pwd
    sha256sum "constraints/$1.txt" setup.cfg pyproject.toml \
        requirements.txt test-requirements.txt
}

get_uv() { # for tools/pip_install and pre-commit: pip takes ten minutes more
    local venv=.venv-uv index
    if [[ ! -x $venv/bin/uv ]]; then
        "$PYTHON" -m venv --clear "$venv" &&
            "$venv/bin/pip" install -qq --disable-pip-version-check \
                pre-commit-uv==4.4.1 uv==0.13.9 || return 0
    fi
    # uv does not read pip's settings.
    index=$("$venv/bin/pip" config list |
        sed -n "s/^\(global\|install\|:env:\)\.index-url='\(.*\)'$/\2/p" |
        tail -n 1)
    [[ ! $index ]] || export UV_DEFAULT_INDEX=$index
    export UV_HTTP_TIMEOUT=120 UV_SYSTEM_CERTS=true
    # Use uv only if it can reach the packages; otherwise use pip.
    if "$venv/bin/uv" pip install --quiet --dry-run --python "$venv" pbr; then
        export UV=$PWD/$venv/bin/uv
        pre_commit=$venv/bin/pre-commit
    fi
}

make_venv() { # NAME CONSTRAINTS ARGUMENT...: those of pip
    local venv=.venv-tests-$1 constraints=$2
    shift 2
    if [[ $(stamp "$constraints") == "$(cat "$venv/stamp" 2>/dev/null)" ]]; then
        return
    fi
    title "Installation of $constraints and the tests' requirements"
    "$PYTHON" -m venv --clear "$venv" ||
        die "$PYTHON cannot create a virtual environment (on Debian and" \
            "Ubuntu: apt install python3-venv)"
    # An old one in the tree hides newer entry points.
    rm -rf zun_bulk.egg-info
    tools/pip_install "$venv" \
        --constraint "constraints/$constraints.txt" "$@" ||
        die "pip could not install the requirements"
    stamp "$constraints" >"$venv/stamp"
}

run_suite() { # ZUN SUITE COMMAND...: the command runs $STESTR
    local zun=$1 suite=$2 venv=.venv-tests-$1 status=0 passed failed
    shift 2
    title "$suite tests beside Zun $zun"
    # Fresh, so that an earlier run is not mistaken for this one.
    rm -rf "${venv:?}/$suite"
    mkdir "$venv/$suite"
    export STESTR="$venv/bin/stestr --repo-url $venv/$suite"
    "$@" || status=$?
    $STESTR last --subunit >"$venv/$suite/subunit" 2>/dev/null || true
    read -r passed failed < <(
        "$venv/bin/subunit-stats" <"$venv/$suite/subunit" |
            awk '/^Passed/ { passed = $3 } /^Failed/ { failed = $3 }
                 END { print passed + 0, failed + 0 }')
    mapfile -t -O "${#failures[@]}" failures < <(
        "$venv/bin/subunit-filter" --no-success --no-skip --no-xfail \
            --no-passthrough <"$venv/$suite/subunit" |
            "$venv/bin/subunit-ls" | sed "s/$/ (beside Zun $zun)/")
    if ((status && !failed)); then
        # Status 1 without a result: the regex matches nothing in this suite.
        # Otherwise, for example, stestr has printed a module that cannot be
        # imported.
        if ((!${#regexes[@]} || status != 1 || passed)); then
            failed=1
            failures+=("the $suite tests beside Zun $zun: status $status")
        fi
    fi
    count "$passed" "$failed"
}

stestr_run() { # SUITE OPTION...
    local suite=$1
    shift
    $STESTR --test-path "tests/$suite" run "$@" "${regexes[@]}"
}

prepare_lab() { # install the slow parts of the lab while tests wait
    local log=.venv-uv/lab.log
    mkdir -p .venv-uv
    # If this fails, the installation for the real tests tries again.
    tests/lab/real/lab install --zun 16 --others >"$log" 2>&1 &
    lab_installation=$!
}

run_suites() { # ZUN OPTION...: those of stestr
    local zun=$1 cores
    cores=$(nproc)
    # In seconds; a functional test has six times as many (see its base).
    local -x OS_TEST_TIMEOUT=${OS_TEST_TIMEOUT:-120}
    shift
    make_venv "$zun" "zun-$zun" \
        --requirement test-requirements.txt --editable '.[service]'
    run_suite "$zun" unit stestr_run unit "$@"
    if $full && [[ $zun == 18 ]]; then prepare_lab; fi
    # These tests spend half of their time waiting.
    run_suite "$zun" functional stestr_run functional \
        --concurrency $((cores < 4 ? 4 : cores)) "$@"
}

run_dashboard() { # HORIZON
    local venv=.venv-tests-horizon-$1 status=0 ran failed
    title "Tests of the dashboard in Horizon $1"
    make_venv "horizon-$1" "horizon-$1" \
        --editable '.[dashboard]' requests-mock zun-ui
    "$venv/bin/python" -m django test tests.dashboard \
        --settings tests.dashboard.settings --buffer 2>&1 |
        tee "$venv/output" || status=$?
    ran=$(awk '/^Ran [0-9]+ test/ { print $2 }' "$venv/output")
    # FAILED (failures=1, errors=2)
    failed=$(awk -F '[(), =]+' '/^FAILED / {
            for (i = 2; i < NF; i++) if ($i ~ /failures|errors/) n += $(i + 1)
        } END { print n + 0 }' "$venv/output")
    # For example, a module that cannot be imported.
    ((!status || failed)) || failed=1
    ((!failed)) || failures+=("the dashboard's tests in Horizon $1")
    count $((${ran:-0} > failed ? ${ran:-0} - failed : 0)) "$failed"
}

zun=18
full=false
regexes=()
while (($#)); do
    case $1 in
        --zun)
            zun=${2:-}
            shift
            ;;
        --full) full=true ;;
        -h | --help)
            usage
            exit
            ;;
        -*) die "unknown option $1; see --help" ;;
        *) regexes+=("$1") ;;
    esac
    shift
done
[[ $zun =~ ^1[678]$ ]] || die "--zun must be 16, 17 or 18"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$PYTHON is not Python 3.11 or newer"

if $full; then
    ((${#regexes[@]} == 0)) || die "--full runs all tests; drop ${regexes[*]}"
    pre_commit=.venv-tests-18/bin/pre-commit
    get_uv
    run_suites 18
    run_suites 16 --exclude-list tests/beside-one-zun.txt
    run_suites 17 --include-list tests/beside-zun-17.txt
    run_dashboard 27
    check_step 'Style' "$pre_commit" run --all-files
    tools/pip_install .venv-tests-18 --constraint constraints/zun-18.txt \
        --requirement tests/browser/requirements.txt ||
        die "pip could not install what tests/browser requires"
    wait "$lab_installation" || true
    # Without the tests that stop and start daemons and wait for them.
    run_suite 18 real timeout --kill-after=60 2100 tests/lab/real-tests.sh \
        --browser-too -- --exclude-regex \
        'test_(each_has|engine|host_down|neutron_dies|overcommit|restarts)'
    check_step 'The main job beside Zun 16, as Kolla Ansible configures it' \
        timeout --kill-after=60 900 \
        ./run_lab.sh --real --zun 16 --kolla --net none
else
    run_suites "$zun"
fi

print_times
if ((${#failures[@]})); then
    printf '\nFailed:\n'
    printf '    %s\n' "${failures[@]}"
fi
printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
((PASSED && !FAILED))
