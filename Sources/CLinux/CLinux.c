#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int latchkey_accept(int listener) {
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int latchkey_peer(int socket, int *pid, unsigned int *uid) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -1;
    *pid = credentials.pid;
    *uid = credentials.uid;
    return 0;
}

int latchkey_open_place(const char *path) {
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int latchkey_spawn_close_from(void *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

int latchkey_event(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int child_event = -1;

// Only functions that signal-safety(7) allows.
static void note_child(int number) {
    (void)number;
    int saved = errno;
    uint64_t one = 1;
    (void)!write(child_event, &one, sizeof one);
    errno = saved;
}

int latchkey_child_event(void) {
    if (child_event >= 0) return child_event;
    child_event = latchkey_event();
    if (child_event < 0) return -1;
    struct sigaction action = {.sa_handler = note_child, .sa_flags = SA_RESTART | SA_NOCLDWAIT};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGCHLD, &action, NULL) != 0) return -1;
    return child_event;
}
