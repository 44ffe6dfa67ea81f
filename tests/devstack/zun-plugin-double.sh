# shellcheck shell=bash

# A double of Zun's DevStack plug-in (devstack/plugin.sh, devstack/lib/zun): in
# each phase it does to zun.conf and the database what the original does, in
# the same order, and nothing else.

ZUN_CONF_DIR=$DEST/etc/zun
ZUN_CONF=$ZUN_CONF_DIR/zun.conf
ZUN_DRIVER=${ZUN_DRIVER:-docker}
ZUN_CAPSULE_DRIVER=${ZUN_CAPSULE_DRIVER:-cri}

case "$1 $2" in
    "stack install")
        setup_develop "$DEST/zun"
        rm -rf "$ZUN_CONF_DIR"
        ;;
    "stack post-config")
        mkdir -p "$ZUN_CONF_DIR"
        rm -f "$ZUN_CONF"
        iniset "$ZUN_CONF" DEFAULT container_driver "$ZUN_DRIVER"
        iniset "$ZUN_CONF" DEFAULT capsule_driver "$ZUN_CAPSULE_DRIVER"
        iniset "$ZUN_CONF" database connection "mysql+pymysql://root@db/zun"
        iniset "$ZUN_CONF" api port 9517
        ;;
    "stack extra")
        "$(get_python_exec_prefix)/zun-db-manage" upgrade
        run_process zun-api "$(get_python_exec_prefix)/zun-api"
        run_process zun-compute "$(get_python_exec_prefix)/zun-compute"
        ;;
    "unstack ")
        stop_process zun-api
        stop_process zun-compute
        ;;
    "clean ")
        rm -rf "$ZUN_CONF_DIR"
        ;;
esac
