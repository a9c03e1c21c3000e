#!/usr/bin/env python3
"""Prints a program from the examples of README.md: what the reader provides is only declared."""
import os
import re

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'README.md')
PROVIDED = '''#include "countersign.h"
#define SECRET ((const uint8_t *)"32 bytes that both ends share...")
void print(struct cs_bytes message);
void draw_random(uint8_t *bytes, size_t length);
int receive(int fd, struct cs_bytes *input);
void send_all(int fd, struct cs_bytes output);
void start(void);
void talk(int fd, const uint8_t random[CS_RANDOM]);
static uint8_t in[2048], out[2048];
static struct cs_session cs;
'''


def main():
    with open(README) as file:
        talk, start = re.findall(r'```c\n(.*?)```', file.read(), re.S)
    lines = start.splitlines()
    print(PROVIDED)
    print('\n'.join(line for line in lines if line.startswith('static')))
    print('void start(void)\n{')
    print('\n'.join(line for line in lines if not line.startswith('static')))
    print('}\nvoid talk(int fd, const uint8_t random[CS_RANDOM])\n{\n' + talk + '}')


if __name__ == '__main__':
    main()
