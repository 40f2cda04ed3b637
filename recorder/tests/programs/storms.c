/*
 * Programs that make the recorder learn ever new things, as fast as they can, and touch pages of FILE
 * meanwhile: one in EACH turns. At the end 64 pages of FILE are touched where they are mapped for good.
 * Prints how many pages were touched, and address and offset of the last ones.
 *
 * Usage: storms KIND TIMES EACH FILE; the table of kinds is below. With GROUP in the environment, the folder
 * of a cgroup, all of it is done in there.
 */
#include "touch.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LAST 64
#define PAGE 4096L

static int file;
static long pages_touched;

/* Far from each other, and from everything that is mapped by itself. */
static char *const NEW_MAPPINGS = (char *)0x100000000000, *const KEPT = (char *)0x300000000000,
                   *const CODE = (char *)0x400000000000, *const CALLERS = (char *)0x500000000000;

/* A page of one's own: written to, it is a fault whatever the kernel maps around others. */
static char *map_page(long page, void *at) {
    int fixed = at ? MAP_FIXED : 0;
    char *mapped = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | fixed, file, page * PAGE);

    if (mapped == MAP_FAILED)
        die("mmap");
    return mapped;
}

static void touch_page(char *page) {
    *(volatile char *)page = 1;
    pages_touched++;
}

static void touch_one(void) {
    char *page = map_page(0, NULL);

    touch_page(page);
    munmap(page, PAGE);
}

static void name_self(const char *front, long turn) {
    char name[16];

    snprintf(name, sizeof(name), "%s%lx", front, turn);
    prctl(PR_SET_NAME, name);
}

static void new_name(long turn) {
    name_self("n", turn);
}

static void new_mapping(long turn) {
    const long together = 512;
    char *place = NEW_MAPPINGS + turn * 2 * PAGE;

    map_page(0, place);
    if ((turn + 1) % together == 0)
        munmap(place - (together - 1) * 2 * PAGE, (together * 2 - 1) * PAGE);
}

static void new_file(long turn) {
    char name[200], *page;
    int memory;

    memset(name, 'f', sizeof(name));
    snprintf(name + 160, sizeof(name) - 160, "%lx", turn);
    memory = memfd_create(name, 0);
    if (memory < 0 || ftruncate(memory, PAGE))
        die("memfd_create");
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (page == MAP_FAILED)
        die("mmap");
    munmap(page, PAGE);
    close(memory);
}

static void *named_thread(void *turn) {
    name_self("t", (long)turn);
    return NULL;
}

static void new_thread(long turn) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, named_thread, (void *)turn))
        die("pthread_create");
    pthread_join(thread, NULL);
}

static void in_new_process(void (*work)(long), long turn) {
    pid_t child = fork();

    if (child < 0)
        die("fork");
    if (!child) {
        work(turn);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void be_another(long turn) {
    name_self("p", turn);
    new_file(turn);
}

static void new_process(long turn) {
    in_new_process(be_another, turn);
}

static void join_group(const char *folder) {
    char path[4096];
    int procs;

    snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
    procs = open(path, O_WRONLY);
    if (procs < 0 || write(procs, "0", 1) != 1)
        die(path);
    close(procs);
}

static char *group_folder(long turn) {
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%lx", getenv("GROUP"), turn);
    return path;
}

static void be_in_a_group(long turn) {
    join_group(group_folder(turn));
    touch_one();
}

static void new_group(long turn) {
    if (mkdir(group_folder(turn), 0755))
        die("mkdir");
    in_new_process(be_in_a_group, turn);
    pages_touched++;
    rmdir(group_folder(turn));
}

static void run_own_code(long turn) {
    /* movb $1, (%rdi); ret */
    static const unsigned char touch[] = {0xc6, 0x07, 0x01, 0xc3};
    char *page = map_page(0, NULL);
    void *code = mmap(CODE + turn * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (code == MAP_FAILED)
        die("mmap");
    memcpy(code, touch, sizeof(touch));
    ((void (*)(char *))code)(page);
}

static void new_code(long turn) {
    in_new_process(run_own_code, turn);
    pages_touched++;
}

static void new_stack(long turn) {
    static struct { void *caller, *address; } frames[126];
    long count = sizeof(frames) / sizeof(frames[0]);
    char *page = map_page(0, NULL);

    for (long i = 0; i < count; i++) {
        frames[i].caller = i + 1 < count ? &frames[i + 1] : NULL;
        frames[i].address = CALLERS + (turn * count + i) * 16;
    }
#ifdef __x86_64__
    __asm__ volatile("mov %%rbp, %%r12; mov %0, %%rbp; movb $1, (%1); mov %%r12, %%rbp"
                     :
                     : "r"(frames), "r"(page)
                     : "r12", "memory");
#endif
    pages_touched++;
    munmap(page, PAGE);
}

__attribute__((noinline, noclone, used)) void query(long turn) {
    __asm__ volatile("" : : "r"(turn));
}

static const struct {
    const char *name;
    void (*turn)(long);
} KINDS[] = {
    /* The thread gets another name. */
    {"names", new_name},
    /* A page of FILE is mapped where nothing was before; of 512 none is left. */
    {"mappings", new_mapping},
    /* A file in memory is made, mapped and removed. */
    {"files", new_file},
    /* A thread with a name of its own begins and ends. */
    {"threads", new_thread},
    /* A process with a name and a file of its own begins and ends. */
    {"processes", new_process},
    /* A process touches a page in a cgroup of its own, within GROUP. */
    {"groups", new_group},
    /* A process touches a page by code that it made itself. x86-64 only, as the next one. */
    {"jit", new_code},
    /* A page is touched with a stack of 126 callers that nobody had before. */
    {"stacks", new_stack},
    /* The function `query` is called. */
    {"queries", query},
};

static void (*find_kind(const char *name))(long) {
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
        if (!strcmp(KINDS[i].name, name))
            return KINDS[i].turn;
    die(name);
    return NULL;
}

int main(int argc, char **argv) {
    void (*one_turn)(long) = find_kind(argv[1]);
    long times = strtol(argv[2], NULL, 10), each = strtol(argv[3], NULL, 10);
    char *last[LAST];

    file = open(argv[4], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, (times > LAST ? times : LAST) * PAGE))
        die(argv[4]);
    if (getenv("GROUP"))
        join_group(getenv("GROUP"));
    for (long turn = 0; turn < times; turn++) {
        one_turn(turn);
        if (turn % each == 0)
            touch_one();
        /* The recorder is to learn all of it, not to lose what comes too fast. */
        if (turn % 1024 == 0)
            usleep(1000);
    }
    name_self("at the end", 0);
    for (long i = 0; i < LAST; i++) {
        last[i] = map_page(i, KEPT + i * 2 * PAGE);
        touch_page(last[i]);
    }
    printf("%ld\n", pages_touched);
    for (long i = 0; i < LAST; i++)
        printf("%lx-%lx\n", (uintptr_t)last[i], (unsigned long)(i * PAGE));
    return argc != 5;
}
