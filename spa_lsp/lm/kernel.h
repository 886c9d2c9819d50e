// What `kernel.cpp` offers to a team of OpenMP threads, all of which call it.

#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Memory for the quantized activations of so many rows.
size_t spa_scratch_bytes(long n_rows, long n_in);

// x [n_rows, n_in] into the scratch; the team is together again afterwards.
void spa_quantize_in_team(int path, const float* x, long n_rows, long n_in, void* scratch);

// What is quantized in the scratch to y [n_rows, n_out]; who is ready goes on, so a barrier belongs behind the last one.
void spa_multiply_in_team(int path, void* scratch, long n_rows, long n_in, const int8_t* weights,
                          const uint16_t* scales, const float* bias, long n_out, float* y);
}
