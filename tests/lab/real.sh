#!/bin/bash
# The main job on a real OpenStack: start one, create containers with one
# command, check each of them, delete them, check that nothing is left.
set -euo pipefail

HERE=$(dirname "$(readlink -f "$0")")
LAB=$HERE/real/lab
BULK=main-job

usage() {
    sed -n 's/^    //p' <<'TEXT'
    usage: run_lab.sh --real [OPTIONS]
      --hosts N           number of hosts, each with its own Docker Engine (2)
      --count N           number of containers (60)
      --net kuryr|none    kuryr: containers reach each other; none: only Neutron ports (kuryr)
      --zun 16|18         release of Zun (18); this lab has no Zun 17
      --kolla             use the zun.conf that Kolla Ansible generates from etc/kolla; Zun 16 only
      --install           install missing Debian packages
      --keep              leave the lab running and print how to use it
      --horizon           also start Horizon, with zun_bulk's panels
      --down              stop a lab left running by --keep
    LAB_ROOT (/var/tmp/zun-bulk-lab) contains the virtual environments and all data.
TEXT
}

die() { echo "lab: $*" >&2; exit 1; }

HOSTS=2 COUNT=60 NET=kuryr ZUN=18 KOLLA="" INSTALL="" KEEP="" DOWN="" HORIZON=""
while (($#)); do
    case $1 in
        --real) ;;
        --hosts) HOSTS=$2; shift ;;
        --count) COUNT=$2; shift ;;
        --net) NET=$2; shift ;;
        --zun) ZUN=$2; shift ;;
        --kolla) KOLLA=--kolla ;;
        --install) INSTALL=--packages ;;
        --keep) KEEP=1 ;;
        --horizon) HORIZON=--horizon ;;
        --down) DOWN=1 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; die "unknown argument $1" ;;
    esac
    shift
done
[[ $COUNT =~ ^[1-9][0-9]*$ ]] || die "--count requires a number"
((EUID == 0)) || die "the real lab requires root: it creates network namespaces and starts Docker Engines"

if [[ $DOWN ]]; then
    "$LAB" down
    "$LAB" wipe
    exit 0
fi

missing=$("$LAB" missing)
[[ -z $missing || $INSTALL ]] ||
    die "these packages are missing; --install installs them: ${missing//$'\n'/ }"

# shellcheck disable=SC2317  # the trap calls it
clean_up() {
    local status=$?
    trap '' INT TERM
    ((status == 0)) || echo "lab: failed; bringing it down. The logs stay in ${LAB_ROOT:-/var/tmp/zun-bulk-lab}/log" >&2
    "$LAB" down || true
    exit "$status"
}

"$LAB" install --zun "$ZUN" $INSTALL $HORIZON
"$LAB" wipe  # refuses while a lab is up; what an earlier one left would be counted
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$LAB" up --hosts "$HOSTS" --net "$NET" --zun "$ZUN" $KOLLA $HORIZON
eval "$("$LAB" env)"

ping=""
((HOSTS > 1)) && [[ $NET == kuryr ]] && ping=--ping
began=$EPOCHREALTIME
openstack appcontainer bulk create --bulk-name "$BULK" --count "$COUNT" --wait \
    --image-pull-policy never --net "network=$LAB_NETWORK" "$LAB_IMAGE" sleep 100000
verified=$("$LAB" verify "$BULK" --since "$began" $ping) || { echo "$verified"; exit 1; }
[[ -z $ping ]] || echo "lab: each container answered a ping from another host"

if [[ $KEEP ]]; then
    trap - EXIT INT TERM
    cat <<TEXT
lab: it stays up. To use it:
    eval "\$($LAB env)"
    openstack appcontainer bulk show $BULK
    openstack appcontainer bulk member list $BULK
    openstack appcontainer bulk create --count 10 --wait --image-pull-policy never \\
        --net network=\$LAB_NETWORK \$LAB_IMAGE sleep 1000
    DOCKER_HOST=\$LAB_DOCKER_1 docker ps
    Keystone $OS_AUTH_URL, Zun $LAB_ZUN_URL${HORIZON:+, Horizon $LAB_HORIZON_URL}
    user $OS_USERNAME, password $OS_PASSWORD
lab: to end it: ./run_lab.sh --real --down
TEXT
else
    openstack appcontainer bulk delete --wait "$BULK"
    "$LAB" leaks --empty
    trap - EXIT INT TERM
    "$LAB" down
    "$LAB" wipe
fi
echo "$verified"
