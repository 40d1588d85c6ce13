/*
 * Preloaded (LD_PRELOAD) into a worker of the fault harness: every call of the C library that changes
 * something below one folder asks the harness first, and once more when it is done. The product never
 * loads it and knows nothing of it.
 *
 * REPOSITORY_DOOR_FOLDER  the folder, as the worker names it
 * REPOSITORY_DOOR_SOCKET  a UNIX socket of the harness
 *
 * One connection a call: "before CALL PATH\n", an answer; then "after ERRNO\n", an answer. An answer is
 * "go\n" or "fail ERRNO\n". A thread waits for as long as the harness says nothing, as it does for a disk;
 * where nobody listens, everything goes by.
 *
 * Node reaches files through libuv, which asks for exactly these names (`nm -D node`). The calls are made
 * as system calls, so that nothing here can meet itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_FILES 4096

static char folder[PATH_MAX];
static size_t folder_length;
static struct sockaddr_un harness = {.sun_family = AF_UNIX};

/* What was opened below the folder. libuv closes past the C library, so an entry counts only while its
   descriptor still is that file. */
struct opened {
  char *path;
  bool counts;
  dev_t device;
  ino_t inode;
  bool written;
};
static struct opened opened[MAX_FILES];
static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;

/* No signal comes in between: libuv's handlers write(), on whichever thread, and one that came to the thread that
   has the lock would wait for itself (seen: a worker whose child ended, once in 500 restores). For the same reason
   nothing is allocated or freed under it. */
static sigset_t lock_opened(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&opened_lock);
  return before;
}

static void unlock_opened(sigset_t before) {
  pthread_mutex_unlock(&opened_lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((constructor)) static void begin(void) {
  const char *given = getenv("REPOSITORY_DOOR_FOLDER");
  const char *path = getenv("REPOSITORY_DOOR_SOCKET");
  /* Not what the worker starts: those have doors of their own. */
  unsetenv("LD_PRELOAD");
  if (given == NULL || path == NULL || strlen(given) >= sizeof folder || strlen(path) >= sizeof harness.sun_path) return;
  strcpy(folder, given);
  strcpy(harness.sun_path, path);
  folder_length = strlen(folder);
}

static bool is_ours(const char *path) {
  if (folder_length == 0 || path == NULL || strncmp(path, folder, folder_length) != 0) return false;
  return path[folder_length] == '/' || path[folder_length] == '\0';
}

static const char *within(const char *path) {
  return path[folder_length] == '\0' ? "." : path + folder_length + 1;
}

/* What the harness says: 0, or the errno to fail with. A connection that ended says nothing any more. */
static int answer_on(int connection) {
  char text[32];
  size_t length = 0;
  while (length < sizeof text - 1) {
    ssize_t received = recv(connection, text + length, 1, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return 0;
    if (text[length] == '\n') break;
    length += 1;
  }
  text[length] = '\0';
  int code = 0;
  return sscanf(text, "fail %d", &code) == 1 ? code : 0;
}

static int say(int connection, const char *line) {
  size_t length = strlen(line);
  for (size_t done = 0; done < length;) {
    ssize_t sent = send(connection, line + done, length - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return 0;
    done += (size_t)sent;
  }
  return answer_on(connection);
}

/* One call that is asked about. */
struct visit {
  int connection;
  int refused;
};

static struct visit enter(const char *call, const char *path) {
  struct visit visit = {.connection = -1, .refused = 0};
  if (!is_ours(path)) return visit;
  visit.connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (visit.connection < 0) return visit;
  while (connect(visit.connection, (const struct sockaddr *)&harness, sizeof harness) < 0) {
    if (errno == EINTR) continue;
    syscall(SYS_close, visit.connection);
    visit.connection = -1;
    return visit;
  }
  char line[PATH_MAX + 32];
  snprintf(line, sizeof line, "before %s %s\n", call, within(path));
  visit.refused = say(visit.connection, line);
  return visit;
}

static long leave(struct visit visit, long result) {
  if (visit.connection < 0) return result;
  int saved = visit.refused != 0 ? visit.refused : errno;
  if (visit.refused == 0) {
    char line[32];
    snprintf(line, sizeof line, "after %d\n", result < 0 ? saved : 0);
    int code = say(visit.connection, line);
    if (code != 0) {
      result = -1;
      saved = code;
    }
  }
  syscall(SYS_close, visit.connection);
  errno = saved;
  return result;
}

#define PASS(visit, work) leave(visit, (visit).refused != 0 ? -1 : (work))

static void remember(int fd, const char *path) {
  struct stat status;
  if (fd < 0 || fd >= MAX_FILES || fstat(fd, &status) != 0) return;
  char *copy = strdup(path);
  sigset_t before = lock_opened();
  char *former = opened[fd].path;
  opened[fd] = (struct opened){.path = copy, .counts = copy != NULL, .device = status.st_dev, .inode = status.st_ino, .written = false};
  unlock_opened(before);
  free(former);
}

/* Copies the path of what lies below the folder. @param writing only where it is the first write of the descriptor. */
static bool path_of(int fd, char *path, bool writing) {
  if (fd < 0 || fd >= MAX_FILES) return false;
  int saved = errno;
  sigset_t before = lock_opened();
  struct opened *file = &opened[fd];
  bool asked = false;
  if (file->counts) {
    struct stat status;
    file->counts = fstat(fd, &status) == 0 && file->device == status.st_dev && file->inode == status.st_ino;
    if (file->counts && (!writing || !file->written)) {
      file->written = file->written || writing;
      snprintf(path, PATH_MAX, "%s", file->path);
      asked = true;
    }
  }
  unlock_opened(before);
  errno = saved;
  return asked;
}

static int open_file(const char *path, int flags, mode_t mode) {
  if (!is_ours(path)) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if ((flags & O_CREAT) == 0) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int saved = errno;
    remember(fd, path);
    errno = saved;
    return fd;
  }
  struct visit visit = enter("create", path);
  int fd = visit.refused != 0 ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  int result = (int)leave(visit, fd);
  int saved = errno;
  if (result >= 0) remember(result, path);
  else if (fd >= 0) syscall(SYS_close, fd);
  errno = saved;
  return result;
}

EXPORT int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  return open_file(path, flags, mode);
}
EXPORT int open(const char *path, int flags, ...) __attribute__((alias("open64")));

EXPORT int rename(const char *from, const char *to) {
  struct visit visit = enter("rename", to);
  return (int)PASS(visit, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

EXPORT int link(const char *from, const char *to) {
  struct visit visit = enter("link", to);
  return (int)PASS(visit, syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

EXPORT int unlink(const char *path) {
  struct visit visit = enter("unlink", path);
  return (int)PASS(visit, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

EXPORT int mkdir(const char *path, mode_t mode) {
  struct visit visit = enter("mkdir", path);
  return (int)PASS(visit, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

/* Of a descriptor: the same with its path, where it has one of ours. */
static struct visit enter_file(const char *call, int fd, bool writing) {
  char path[PATH_MAX];
  return path_of(fd, path, writing) ? enter(call, path) : (struct visit){.connection = -1, .refused = 0};
}

EXPORT int fsync(int fd) {
  struct visit visit = enter_file("fsync", fd, false);
  return (int)PASS(visit, syscall(SYS_fsync, fd));
}

EXPORT int fdatasync(int fd) {
  struct visit visit = enter_file("fdatasync", fd, false);
  return (int)PASS(visit, syscall(SYS_fdatasync, fd));
}

EXPORT ssize_t write(int fd, const void *data, size_t length) {
  struct visit visit = enter_file("write", fd, true);
  return PASS(visit, syscall(SYS_write, fd, data, length));
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
  struct visit visit = enter_file("write", fd, true);
  return PASS(visit, syscall(SYS_pwrite64, fd, data, length, offset));
}
EXPORT ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) __attribute__((alias("pwrite64")));

EXPORT ssize_t writev(int fd, const struct iovec *pieces, int count) {
  struct visit visit = enter_file("write", fd, true);
  return PASS(visit, syscall(SYS_writev, fd, pieces, count));
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t offset) {
  struct visit visit = enter_file("write", fd, true);
  return PASS(visit, syscall(SYS_pwritev, fd, pieces, count, offset, 0));
}
EXPORT ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) __attribute__((alias("pwritev64")));
