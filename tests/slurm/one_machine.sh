#!/bin/sh
# Slurm on one machine, for a trial of recon3d.Cluster(profile="slurm"): Debian, as root.
#
#     apt-get install -y slurmctld slurmd slurm-client munge
#     sh tests/slurm/one_machine.sh start && python tests/slurm/reconstruct.py SCAN.h5 FILE.ini
#     sh tests/slurm/one_machine.sh stop
set -eu
state=/var/spool/recon3d-slurm
case "${1:-}" in
start)
    mkdir -p "$state/ctld" "$state/d" /etc/slurm /run/munge
    host=$(hostname -s)
    cat > /etc/slurm/slurm.conf <<EOF
ClusterName=trial
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/ctld.pid
SlurmdPidFile=$state/d.pid
SlurmctldLogFile=$state/ctld.log
SlurmdLogFile=$state/d.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    [ -f /etc/munge/munge.key ] || mungekey --create
    chown munge: /run/munge
    pidof munged > /dev/null || runuser -u munge -- munged
    slurmctld
    slurmd
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        sinfo -h -o %T 2> /dev/null | grep -q idle && exit 0
    done
    scontrol update "nodename=$host" state=resume || true
    sinfo
    ;;
stop)
    for name in d ctld; do
        [ -f "$state/$name.pid" ] && kill "$(cat "$state/$name.pid")"
    done
    ;;
*)
    echo "usage: $0 start|stop" >&2
    exit 2
    ;;
esac
