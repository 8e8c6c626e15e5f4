// What Swift's Glibc module does not show of the C library and the kernel: constants hidden in macros and enums.
#pragma once

#include <linux/inet_diag.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Makes a file that lives in memory alone and is closed on exec (memfd_create(2), MFD_CLOEXEC).
/// Returns its descriptor, or -1 with errno set.
static inline int latchkey_memory_file(const char *name) {
    return (int)syscall(SYS_memfd_create, name, 1U);
}

/// The next connection of a listening socket, non-blocking and closed on exec (accept4(2)).
int latchkey_accept(int listener);

/// Process and user at the other end of a local socket (SO_PEERCRED, unix(7)).
/// Returns 0, or -1 with errno set.
int latchkey_peer(int socket, int *pid, unsigned int *uid);

/// Opens a folder as a mere place in the tree (open(2), O_PATH).
int latchkey_open_place(const char *path);

/// Has a spawned program close every descriptor from `first` on (posix_spawn(3), glibc 2.34).
/// `actions` is a posix_spawn_file_actions_t.
int latchkey_spawn_close_from(void *actions, int first);

/// Gives the calling thread a network namespace of its own (unshare(2), CLONE_NEWNET).
/// Returns 0, or -1 with errno set.
static inline int latchkey_unshare_network(void) {
    return (int)syscall(SYS_unshare, 0x40000000L);
}

/// A descriptor that becomes readable when the process ends (pidfd_open(2), Linux 5.3).
/// Returns it, closed on exec, or -1 with errno set.
static inline int latchkey_process_descriptor(int pid) {
    return (int)syscall(434, pid, 0); // SYS_pidfd_open, which glibc 2.34 does not know; the same on all machines
}

/// A counter that wakes up a thread in poll(2) (eventfd(2)), non-blocking and closed on exec.
/// Returns its descriptor, or -1 with errno set.
int latchkey_event(void);

/// A counter like that of `latchkey_event`, increased whenever a child process stops, resumes or ends; ended children
/// do not become zombies. A later call returns the same descriptor.
int latchkey_child_event(void);
