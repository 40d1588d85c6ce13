/*
 * tether: runs a command whose life is tied to its parent's.
 *
 * usage: tether SIGNAL UID:GID|- COMMAND [ARG...]
 *
 * When the parent dies, however it dies (SIGKILL included), the kernel sends SIGNAL to the
 * command. Needed for the embedded PostgreSQL, which must not run as root and must not outlive
 * the service. The order matters: a change of user clears the parent-death signal
 * (prctl(2), PR_SET_PDEATHSIG), so the user is changed first.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "tether: %s: %s\n", what, strerror(errno));
  return 125;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: tether SIGNAL UID:GID|- COMMAND [ARG...]\n");
    return 125;
  }
  pid_t parent = getppid();
  int signal_number = atoi(argv[1]);
  if (signal_number <= 0) {
    fprintf(stderr, "tether: %s is not a signal number\n", argv[1]);
    return 125;
  }
  if (strcmp(argv[2], "-") != 0) {
    unsigned uid, gid;
    if (sscanf(argv[2], "%u:%u", &uid, &gid) != 2) {
      fprintf(stderr, "tether: %s is not UID:GID\n", argv[2]);
      return 125;
    }
    if (setgroups(0, NULL) != 0) return fail("setgroups");
    if (setgid(gid) != 0) return fail("setgid");
    if (setuid(uid) != 0) return fail("setuid");
  }
  if (prctl(PR_SET_PDEATHSIG, signal_number) != 0) return fail("prctl");
  /* The parent may have died before the prctl took hold. */
  if (getppid() != parent) return 0;
  execvp(argv[3], argv + 3);
  return fail(argv[3]);
}
