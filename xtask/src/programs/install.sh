# Installs the packages named as arguments, with no service started, now or at the next boot, and no cluster made.
# The paths can be changed by the environment, so that this script can be tried without root.
set -eu
policy=${POLICY:-/usr/sbin/policy-rc.d}
clusters=${CLUSTERS:-/etc/postgresql-common/createcluster.d}
no_cluster=$clusters/xtask-no-cluster.conf
apt_get=${APT_GET:-apt-get}
made_policy=

# Also runs when the installation fails or is interrupted.
restore() {
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
    rm -f "$no_cluster"
    rmdir "$clusters" 2>/dev/null || true
}
trap restore EXIT
trap 'exit 130' HUP INT TERM

# 101 tells invoke-rc.d that no service may be started. A policy of the host is left as it is.
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\n# Made by cargo xtask while it installs; can be removed.\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# Debian makes and would start a cluster "main" for each new major version of PostgreSQL.
mkdir -p "$clusters"
echo 'create_main_cluster = false' >"$no_cluster"

export DEBIAN_FRONTEND=noninteractive
# Stale lists are no reason to give up: the packages may be in them.
"$apt_get" -q update || echo 'apt-get update failed; trying with the lists that are there' >&2
"$apt_get" -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 install "$@"

# Nor may the next boot start what was only wanted for tests.
for package in "$@"; do
    systemctl disable "$package" >/dev/null 2>&1 || true
done
