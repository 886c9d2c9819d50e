/* Preloaded: lets one of the coming writes, syncs or truncations of a file fail, or all from it on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

static int left, kind, is_lasting, n_failed;

/* The n-th call from now fails with this error; n = 0: none does. */
void fail_at(int n, int error, int lasting) { left = n; kind = error; is_lasting = lasting; n_failed = 0; }

int count_failed(void) { return n_failed; }

static int fails(void) {
    if (left == 0 || --left > 0) return 0;
    if (is_lasting) left = 1;
    errno = kind;
    return ++n_failed;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *data, size_t n, off_t place) {
    return fails() ? -1 : REAL(pwrite)(fd, data, n, place);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t place) {
    return fails() ? -1 : REAL(pwrite64)(fd, data, n, place);
}
int fsync(int fd) { return fails() ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails() ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { return fails() ? -1 : REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { return fails() ? -1 : REAL(ftruncate64)(fd, n); }
