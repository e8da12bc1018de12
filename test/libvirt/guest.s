# A guest of one sector: SeaBIOS boots it from its disk, and it writes to that disk for ever, in real mode.
#
# Each turn writes 4 KiB of a counter to one of 1024 places from 1 MiB on, reads a place written before, compares, and prints a line on the
# first serial port: the counter as 8 hexadecimal digits, or E and the counter where reading, writing or comparing failed.
# About 18 turns a second: it waits for the timer between them. On a disk that can't be written it prints E in each turn.
  .code16
  .globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  sti
  cld
  movb %dl, drive

turn:
  hlt                     # a timer interrupt, or another
  incl count

  movl count, %eax        # the buffer at 0x8000 full of the counter
  movw $0x8000, %di
  movw $1024, %cx
  rep stosl
  movb $0x43, %ah
  call transfer           # write
  jc failed

  movw $0x8000, %di       # nothing of it is left in memory
  movw $1024, %cx
  xorl %eax, %eax
  rep stosl
  movb $0x42, %ah
  call transfer           # read it back
  jc failed
  movl count, %eax
  movw $0x8000, %di
  movw $1024, %cx
  repe scasl
  jne failed

  call print
  jmp turn

failed:
  movb $'E', %al
  call put
  call print
  jmp turn

# AH: the function of int 0x13. The place of this turn: 1 MiB + (count mod 1024) * 4 KiB.
transfer:
  movb $0, %al            # no verify
  movl count, %ebx
  andl $1023, %ebx
  shll $3, %ebx
  addl $2048, %ebx
  movl %ebx, lba
  movw $packet, %si
  movb drive, %dl
  int $0x13
  ret

print:
  movl count, %ebx
  movw $8, %cx
digit:
  roll $4, %ebx
  movb %bl, %al
  andb $15, %al
  addb $'0', %al
  cmpb $'9', %al
  jbe 1f
  addb $39, %al
1:
  call put
  loop digit
  movb $'\n', %al

put:
  pushw %ax
  movw $0x3fd, %dx
1:
  inb %dx, %al
  testb $0x20, %al
  jz 1b
  popw %ax
  movw $0x3f8, %dx
  outb %al, %dx
  ret

  .balign 4
packet:
  .byte 16, 0
  .word 8                 # sectors
  .word 0x8000, 0         # offset, segment
lba:
  .long 0, 0
count:
  .long 0
drive:
  .byte 0

  .org 510
  .word 0xaa55
