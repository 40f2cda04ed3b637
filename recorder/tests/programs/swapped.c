/*
 * A program with probes of queries that puts another file in the place of its own while somebody looks for
 * them: swapped attack OWN OTHER OPENS   waits until OWN was opened OPENS times, and makes it a link to OTHER
 *   swapped victim                   until SIGTERM, looks whether anybody wrote into its code or data
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define QUERY __attribute__((noinline, noclone, used))

/* In each file at the same place. */
volatile unsigned short semaphore = 0x0100;

QUERY void marked(void) {
    __asm__ volatile("1: nop\n"
                     ".pushsection .note.stapsdt, \"\", \"note\"\n"
                     ".macro pf_note name\n"
                     ".balign 4\n"
                     ".4byte 8, 9f-8f, 3\n"
                     ".asciz \"stapsdt\"\n"
                     "8: .8byte 1b, 0, semaphore\n"
                     ".asciz \"pf\"\n"
                     ".asciz \"\\name\"\n"
                     ".asciz \"\"\n"
                     "9: .balign 4\n"
                     ".endm\n"
                     "pf_note query_begin\n"
                     "pf_note query_end\n"
                     ".purgem pf_note\n"
                     ".popsection\n");
}

static volatile sig_atomic_t ended;

static void end(int signal) {
    ended = signal;
}

static int victim(void) {
    const volatile unsigned char *code = (const volatile unsigned char *)marked;
    unsigned char before[32];
    unsigned short was = semaphore;
    int touched = 0;

    for (int i = 0; i < 32; i++)
        before[i] = code[i];
    signal(SIGTERM, end);
    puts("ready");
    fflush(stdout);
    for (; !ended; usleep(500)) {
        for (int i = 0; i < 32; i++)
            touched |= code[i] != before[i];
        touched |= semaphore != was;
    }
    puts(touched ? "touched" : "untouched");
    return 0;
}

static int attack(const char *own, const char *other, int opens) {
    char event[4096], link[4096];
    int watch = inotify_init();

    snprintf(link, sizeof(link), "%s.link", own);
    if (watch < 0 || inotify_add_watch(watch, own, IN_OPEN) < 0 || symlink(other, link) < 0) {
        perror("swapped");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (opens > 0) {
        ssize_t length = read(watch, event, sizeof(event));

        for (char *at = event; at < event + length;) {
            struct inotify_event *one = (struct inotify_event *)at;

            opens -= !!(one->mask & IN_OPEN);
            at += sizeof(*one) + one->len;
        }
    }
    rename(link, own);
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "attack"))
        return attack(argv[2], argv[3], atoi(argv[4]));
    marked();
    return victim();
}
