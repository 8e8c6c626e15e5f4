# shellcheck shell=bash
# Docker's own engine. Sourced by run; these cases run only by name.

# A container with the given name that greets whoever connects to a published port.
container_on() {
    inside "docker run --detach --restart always --name $1 --publish $2:80 box \
        /bin/busybox nc -ll -p 80 -e /bin/busybox echo hello" >/dev/null || fail "the container $1 does not start"
}
greets() { [[ $(timeout 2 bash -c 'exec 3<>/dev/tcp/192.0.2.2/$1 && head -n 1 <&3' bash "$1" 2>/dev/null) == hello ]]; }
is_published() { wait_for 10 greets "$1" || fail "$2: $1 is closed"; }
is_unpublished() { greets "$1" && fail "$2: $1 is open" || true; }
keep_beside_docker() {
    answers "$@"
    expect_status 0 as_root latchkey apply --answers /root/answers.yaml --detach
    expect_status 0 as_root latchkey confirm
}
docker_runs() { inside 'docker ps' >/dev/null; }

# Docker: its published ports stay open or follow the answers, over restarts, new containers and reboots
case_docker_engine() {
    fresh docker
    inside 'systemctl --quiet enable --now docker && mkdir -p /root/box/bin && cp /bin/busybox /root/box/bin/ &&
        tar -C /root/box -c . | docker import - box' >/dev/null || fail 'Docker does not start'
    container_on web 8080
    is_published 8080 'at first'
    keep_beside_docker 'services: [web]' 'docker: open'
    is_published 8080 'docker: open'
    inside 'systemctl restart docker'
    is_published 8080 'docker: open, after a restart of Docker'
    is_open || fail 'SSH is closed after a restart of Docker'
    no_drift 'after a restart of Docker'
    reboot
    is_published 8080 'docker: open, after a reboot'
    no_drift 'after a reboot'

    answers 'services: [web]' 'docker: answers'
    expect_status 0 as_root latchkey apply --answers /root/answers.yaml --detach
    is_unpublished 8080 'docker: answers, in the window'
    expect_status 0 as_root latchkey revert
    is_published 8080 'after the rollback'
    keep_beside_docker 'services: [web]' 'ports: [8080/tcp]' 'docker: answers'
    container_on other 8081
    is_published 8080 'docker: answers'
    is_unpublished 8081 'docker: answers'
    [[ $(inside 'docker exec web /bin/busybox nc -w 3 192.0.2.1 9 2>&1' || true) == *refused* ]] ||
        fail 'the container does not reach others'
    inside 'systemctl restart docker'
    is_published 8080 'docker: answers, after a restart of Docker'
    is_unpublished 8081 'docker: answers, after a restart of Docker'
    inside 'docker rm --force web' >/dev/null
    container_on again 8080
    is_published 8080 'a new container'
    no_drift 'after a restart of Docker'
    reboot
    wait_for 30 docker_runs || fail 'Docker does not come back'
    is_published 8080 'docker: answers, after a reboot'
    is_unpublished 8081 'docker: answers, after a reboot'
    answers_decide
    no_drift 'after a reboot'

    as_root latchkey off --detach || fail "off said $?"
    expect_status 0 as_root latchkey confirm
    is_published 8081 'after off'
    inside 'iptables-save' | grep -q latchkey && fail 'a rule is left'
    reboot
    is_published 8081 'after off and a reboot'
}
