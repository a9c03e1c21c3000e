#!/usr/bin/env python3
"""Counts the instructions and cycles of a handshake on a Cortex-M0.

    cycles.py path/to/handshake.elf

Runs it under qemu, which traces each instruction, and adds up what ARM's manual says that each
takes on this core (Cortex-M0 Technical Reference Manual, table 3-1: memory without wait states, a
multiplier of one cycle).
"""
import re
import subprocess
import sys
import tempfile

MHZ = 48
PARTS = ['key, once', 'client: call', 'server: call', 'client: answer', 'server: confirm',
         'client: accept', 'client: a message of 32 bytes']


def disassembled(program):
    """Size, mnemonic and operands of each instruction, by address."""
    text = subprocess.run(['arm-none-eabi-objdump', '-d', program], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    found = {}
    for line in text.splitlines():
        match = re.match(r'\s+([0-9a-f]+):\s+([0-9a-f]{4}(?: [0-9a-f]{4})?)\s+(\S+)\s*(.*)', line)
        if match:
            address, code, name, operands = match.groups()
            found[int(address, 16)] = len(code.replace(' ', '')) // 2, name.split('.')[0], operands
    marks = re.findall(r'^([0-9a-f]+) <mark>:', text, re.M)
    return found, int(marks[0], 16)


def registers(operands):
    """How many there are in a list in braces."""
    count = 0
    for each in re.search(r'{(.*)}', operands).group(1).split(','):
        bounds = [int(number) for number in re.findall(r'r(\d+)', each)]
        count += bounds[-1] - bounds[0] + 1 if bounds else 1
    return count


def cycles(instruction, is_taken):
    size, name, operands = instruction
    if name in ('ldmia', 'stmia', 'push'):
        return 1 + registers(operands)
    if name == 'pop':
        return (4 if 'pc' in operands else 1) + registers(operands) - ('pc' in operands)
    if name.startswith(('ldr', 'str')):
        return 2
    if name == 'bl':
        return 4
    return 3 if is_taken else 1


def traced(program):
    with tempfile.NamedTemporaryFile('r') as log:
        command = ['qemu-system-arm', '-M', 'microbit', '-display', 'none', '-serial', 'none',
                   '-monitor', 'none', '-semihosting-config', 'enable=on,target=native',
                   '-kernel', program, '-singlestep', '-d', 'exec,nochain', '-D', log.name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        for line in log:
            match = re.search(r'\[[0-9a-f]+/([0-9a-f]+)/', line)
            if match:
                yield int(match.group(1), 16)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    code, mark = disassembled(sys.argv[1])
    parts, last = [], None
    for address in traced(sys.argv[1]):
        if last is not None and parts:
            parts[-1][0] += 1
            parts[-1][1] += cycles(code[last], address != last + code[last][0])
        if address == mark:
            parts.append([0, 0])
        last = address
    print('{:32} {:>12} {:>10} {:>8}'.format('', 'instructions', 'cycles', 'ms'))
    ends = {'client': [0, 0], 'server': [0, 0]}
    for name, part in zip(PARTS, parts):
        show(name, part)
        end = ends.get(name.split(':')[0])
        if end and 'message' not in name:
            end[:] = [end[0] + part[0], end[1] + part[1]]
    for end, sums in ends.items():
        show(end + ', the whole handshake', sums)


def show(name, part):
    print('{:32} {:12,} {:10,} {:8.2f}'.format(name, *part, part[1] / MHZ / 1000))


if __name__ == '__main__':
    main()
