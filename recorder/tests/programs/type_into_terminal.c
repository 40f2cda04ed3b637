// Types a line into every terminal that it can reach, as if the user had.
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void type(int fd) {
    for (const char *key = "echo typed by the command\n"; *key; key++)
        ioctl(fd, TIOCSTI, key);
}

int main(void) {
    int terminal = open("/dev/tty", O_RDWR);

    for (int fd = 0; fd < 3; fd++)
        type(fd);
    if (terminal >= 0)
        type(terminal);
    // On a terminal of its own this is its own input.
    puts("tried");
    return 0;
}
