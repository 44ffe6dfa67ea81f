#!/bin/bash
# Runs the main job: one command creates many containers on a real Zun.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")"

usage() {
    sed -n 's/^    //p' <<'TEXT'
    usage: run_lab.sh [--count N] [--zun 16|17|18] [--keep [--horizon]]
                      [--down]
           run_lab.sh --real [OPTIONS]

    Starts a lab, creates containers in bulk with the command line, checks each
    of them in the Docker Engine, deletes them and cleans up. The exit status
    is 0 only if all steps succeeded.

    Without --real, the lab is embedded: zun-api, zun-compute and Placement on
    SQLite, with an emulated Keystone and Neutron, as one host, without root.
    The Docker Engine is the one at DOCKER_HOST or at the default socket, else
    an emulated one; the last line shows which.

      --count N    number of containers (60)
      --zun N      release of Zun, 16, 17 or 18 (18)
      --keep       leave the lab running and print how to use it
      --horizon    also start Horizon, in its own virtual environment; only
                   with Zun 16 and 18
      --down       stop a lab left running by --keep
      --real       use an OpenStack in which nothing is emulated (root, Debian
                   or Ubuntu): see run_lab.sh --real --help

    The environment variable PYTHON selects the interpreter, 3.11 or newer.
TEXT
}

die() {
    echo "lab: $*" >&2
    exit 1
}

for argument; do
    [[ $argument != --real ]] || exec tests/lab/real.sh "$@"
done

ZUN=18 HORIZON=""
ARGUMENTS=()
while (($#)); do
    case $1 in
        --zun) ZUN=${2:-}; shift ;;
        --zun=*) ZUN=${1#*=} ;;
        --count) ARGUMENTS+=("$1" "${2:-}"); shift ;;
        --count=* | --keep | --down) ARGUMENTS+=("$1") ;;
        --horizon) HORIZON=1 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; die "unknown argument $1" ;;
    esac
    shift
done
CONSTRAINTS=constraints/zun-$ZUN.txt
[[ -f $CONSTRAINTS ]] || die "--zun must be 16, 17 or 18"
[[ ! $HORIZON || $ZUN != 17 ]] || die "--horizon needs --zun 16 or 18"

PYTHON=${PYTHON:-python3}
VENV=.venv-lab-$ZUN

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "$PYTHON is not Python 3.11 or newer"

# A virtual environment works for one interpreter in one place.
identity() {
    "$PYTHON" --version
    pwd
}

# Changes with what has to be installed.
stamp() {
    identity
    sha256sum "$CONSTRAINTS" requirements.txt setup.cfg \
        tests/lab/real/labnet/*
}

install() {
    rm -f "$VENV/stamp"
    if [[ $(identity) != "$(cat "$VENV/identity" 2>/dev/null)" ]]; then
        "$PYTHON" -m venv --clear "$VENV" ||
            die "$PYTHON has no venv: on Debian and Ubuntu, apt install python3-venv"
        identity >"$VENV/identity"
    fi
    # Built from a copy, which pip may write into.
    rm -rf "$VENV/labnet"
    cp -r tests/lab/real/labnet "$VENV/labnet"
    "$VENV/bin/pip" install -qq --disable-pip-version-check \
        --constraint "$CONSTRAINTS" --editable '.[service]' \
        openstack-placement "$VENV/labnet"
    stamp >"$VENV/stamp"
}

if [[ $(stamp) != "$(cat "$VENV/stamp" 2>/dev/null)" ]]; then
    echo "lab: installing Zun $ZUN, Placement and zun_bulk into $VENV"
    install || die "failed to install"
    echo "lab: installed in $SECONDS s"
fi
if [[ $HORIZON ]]; then
    HORIZON=$PWD/.venv-horizon-$ZUN
    echo "lab: installing Horizon into $HORIZON"
    LAB_PYTHON=$PYTHON tests/lab/horizon/install "$HORIZON" "$ZUN" \
        --editable >"$VENV/horizon.log" 2>&1 ||
        die "failed to install Horizon; see $VENV/horizon.log"
    echo "lab: installed in $SECONDS s"
    ARGUMENTS+=(--horizon "$HORIZON")
fi
exec "$VENV/bin/python" -m tests.lab.embedded "${ARGUMENTS[@]}"
