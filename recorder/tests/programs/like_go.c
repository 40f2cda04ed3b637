// Looks like a program of Go that was linked with C: the mark of its compiler, and names with a dot.

__attribute__((section(".go.buildinfo"), used)) static const char mark[] = "made by Go";

int request(int number) __asm__("main.request");

__attribute__((noinline)) int request(int number) {
    return number + 1;
}

__attribute__((noinline)) int in_c(int number) {
    return request(number) + 1;
}

int main(void) {
    return in_c(-2);
}
