/* What a program without an operating system may do under qemu. */
#ifndef START_H
#define START_H

#include <stdint.h>

void print(const char *text);
void leave(int is_right);

#endif
