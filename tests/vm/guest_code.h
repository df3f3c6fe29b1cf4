// What the guests of these tests run: machine code, assembled by hand. Every byte means the same in
// 32 and in 64 bits, so one program serves both modes (INC and DEC are the long forms; an address
// in a 32-bit register has zeroes above it). Code lies at address 0, registers are its arguments.
#pragma once

#include <cstring>
#include <span>

#include "base/types.h"
#include "vm/kvm_guest.h"

namespace verso::test {

static_assert(KvmGuest::door == 0x3fe0'0000, "the door is part of the programs");

/// Stores rising values.
/// ebx: to where, ecx: how many times, edx: bytes from one place to the next, eax: first value
inline constexpr u8 store_rising[] = {
    0x89, 0x03,                                // next: mov [ebx], eax
    0x01, 0xd3,                                //       add ebx, edx
    0xff, 0xc0,                                //       inc eax
    0xff, 0xc9,                                //       dec ecx
    0x75, 0xf6,                                //       jnz next
    0x89, 0x04, 0x25, 0x00, 0x00, 0xe0, 0x3f,  //       mov [door], eax: the end
};

/// Adds one to each word: what it stores depends on what it finds.
/// ebx: where, ecx: how many, edx: bytes from one to the next
inline constexpr u8 count_up[] = {
    0xff, 0x03,                                // next: inc dword [ebx]
    0x01, 0xd3,                                //       add ebx, edx
    0xff, 0xc9,                                //       dec ecx
    0x75, 0xf8,                                //       jnz next
    0x89, 0x04, 0x25, 0x00, 0x00, 0xe0, 0x3f,  //       mov [door], eax
};

/// Only reads: the sum of words, in eax.
/// ebx: where, ecx: how many, edx: bytes from one to the next
inline constexpr u8 add_all[] = {
    0x03, 0x03,                                // next: add eax, [ebx]
    0x01, 0xd3,                                //       add ebx, edx
    0xff, 0xc9,                                //       dec ecx
    0x75, 0xf8,                                //       jnz next
    0x89, 0x04, 0x25, 0x00, 0x00, 0xe0, 0x3f,  //       mov [door], eax
};

/// The steps of support/causal_writers.h, one after the other, for ever: step k goes to slot
/// k mod S, and the place of a slot is that of the one before it, plus a prime, modulo S.
/// eax: the next step, esi: place of the slot before, ecx: S, edx: the prime modulo S,
/// ebx: where the slots are, ebp: where the last step is to be told
inline constexpr u8 write_steps[] = {
    0x01, 0xd6,        // next:   add esi, edx
    0x39, 0xce,        //         cmp esi, ecx
    0x72, 0x02,        //         jb inside
    0x29, 0xce,        //         sub esi, ecx
    0x89, 0xf7,        // inside: mov edi, esi
    0xc1, 0xe7, 0x09,  //         shl edi, 9: 512 bytes each
    0x89, 0x04, 0x3b,  //         mov [ebx + edi], eax
    0x89, 0x45, 0x00,  //         mov [ebp], eax
    0xff, 0xc0,        //         inc eax
    0xeb, 0xe9,        //         jmp next
};

/// store_rising, with the time of each store.
/// ebx, ecx, edx, as there; edi: where the ticks are to be told, one word for each; eax, esi: used
inline constexpr u8 time_stores[] = {
    0x89, 0xd5,                                //       mov ebp, edx: rdtsc needs edx
    0x0f, 0xae, 0xe8,                          // next: lfence: nothing of before is left
    0x0f, 0x31,                                //       rdtsc
    0x89, 0xc6,                                //       mov esi, eax
    0x89, 0x0b,                                //       mov [ebx], ecx
    0x0f, 0xae, 0xf0,                          //       mfence: it has been stored
    0x0f, 0xae, 0xe8,                          //       lfence
    0x0f, 0x31,                                //       rdtsc
    0x29, 0xf0,                                //       sub eax, esi
    0x89, 0x07,                                //       mov [edi], eax
    0x83, 0xc7, 0x04,                          //       add edi, 4
    0x01, 0xeb,                                //       add ebx, ebp
    0xff, 0xc9,                                //       dec ecx
    0x75, 0xe2,                                //       jnz next
    0x89, 0x04, 0x25, 0x00, 0x00, 0xe0, 0x3f,  //       mov [door], eax
};

inline void load_code(std::span<std::byte> memory, std::span<const u8> code) {
    std::memcpy(memory.data(), code.data(), code.size());
}

/// Arguments of the first three programs.
inline kvm_regs walk(u64 where, u64 count, u64 stride, u64 first_value = 0) {
    kvm_regs registers{};
    registers.rax = first_value;
    registers.rbx = where;
    registers.rcx = count;
    registers.rdx = stride;
    return registers;
}

}  // namespace verso::test
