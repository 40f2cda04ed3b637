/* Calls one function as often as it is told. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, noclone, used)) int call(int number) {
    return number + 1;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    int sum = 0;

    for (int i = 0; i < times; i++)
        sum += call(i);
    /* So that no call is taken for unused. */
    return sum == 1234567890;
}
