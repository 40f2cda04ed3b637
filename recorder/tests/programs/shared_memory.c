/*
 * Memory that the kernel shows as a file though none has a name, and a file with the name of such memory: one
 * page of each is touched. Prints the kind and the file that belong to each address: `kind file address`, -
 * for no file. Arguments: a folder on a disk, where the file is made.
 */
#include "touch.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define SIZE 4096

static void touch_and_tell(const char *kind, const char *file, void *address, int writable) {
    if (address == MAP_FAILED)
        die(kind);
    if (writable)
        *(volatile char *)address = 1;
    else
        touched = *(volatile char *)address;
    printf("%s %s %lx\n", kind, file, (unsigned long)address);
}

static void *map(int file, int flags) {
    return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, file, 0);
}

/* Private segments and one with a key that nobody else is likely to have. */
static void system_v(key_t key) {
    int id = shmget(key, SIZE, IPC_CREAT | 0600);
    void *address = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    touch_and_tell("shm", "-", address, 1);
}

int main(int argc, char **argv) {
    aio_context_t context = 0;
    char path[4096];
    int file;

    if (argc != 2)
        return 2;
    touch_and_tell("shm", "-", map(-1, MAP_SHARED | MAP_ANONYMOUS), 1);
    file = open("/dev/zero", O_RDWR);
    touch_and_tell("shm", "-", map(file, MAP_SHARED), 1);
    touch_and_tell("anon", "-", map(file, MAP_PRIVATE), 1);
    system_v(IPC_PRIVATE);
    system_v(0x70666563);
    file = memfd_create("of-pfrec", 0);
    if (file < 0 || ftruncate(file, SIZE))
        die("memfd");
    touch_and_tell("shm", "/memfd:of-pfrec", map(file, MAP_SHARED), 1);
    /* Not every kernel gives these. */
    file = syscall(SYS_memfd_secret, 0);
    if (file >= 0 && !ftruncate(file, SIZE))
        touch_and_tell("shm", "-", map(file, MAP_SHARED), 1);
    if (!syscall(SYS_io_setup, 8, &context))
        touch_and_tell("shm", "-", (void *)context, 0);
    snprintf(path, sizeof(path), "%s/SYSV00000000 (deleted)", argv[1]);
    file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, SIZE))
        die(path);
    touch_and_tell("file", "SYSV00000000", map(file, MAP_SHARED), 1);
    return 0;
}
