// y = x W^T + b for int8 weights with one float16 scale per 32 inputs of an output.
//
// Activations become int16 with one scale per 32 of a row, so a block's sum is exact in int32: 32 * 127 * 32767 < 2^31.
// What a row gives does not depend on how many rows there are.
//
// Weights come in panels of 16 outputs, pairs of inputs side by side: [panel][input / 2][16 outputs][2]; scales as
// [panel][input / 32][16 outputs]. Inputs are filled up to a multiple of 32 and outputs to one of 16, with zeros.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_X86 1
#endif

namespace {

constexpr long kPanel = 16, kBlock = 32, kGroup = 8;

enum Path { kPlain = 0, kAvx2 = 1, kAvx512 = 2 };  // the order of kKernels

struct Rows {  // quantized activations, eight rows side by side
    const int16_t* numbers;  // [rows / 8][n_blocks][8][32]
    const float* scales;     // [rows / 8][n_blocks][8]
    long n_blocks;

    long place(long row) const { return row / kGroup * n_blocks * kGroup + row % kGroup; }
    const int16_t* numbers_of(long row) const { return numbers + place(row) * kBlock; }
    const float* scales_of(long row) const { return scales + place(row); }
};

using Tile = void (*)(const Rows&, long row, const int8_t* weights, const uint16_t* scales, float* sums);
using Quantize = void (*)(const float* x, long n, int16_t* numbers, float* scales);

float half_to_float(uint16_t half) {
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 1023;
    float magnitude = exponent == 0    ? std::ldexp((float)mantissa, -24)
                      : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                       : std::ldexp((float)(mantissa + 1024), (int)exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

// One row; a block that holds a number that is not finite gets the scale NaN, which spoils that row and no other.
inline __attribute__((always_inline)) void quantize_row(const float* x, long n, int16_t* numbers, float* scales) {
    for (long start = 0; start < n; start += kBlock, numbers += kGroup * kBlock, scales += kGroup) {
        float block[kBlock] = {0};
        std::memcpy(block, x + start, sizeof(float) * (n - start < kBlock ? n - start : kBlock));
        uint32_t top = 0;  // bits of magnitudes are ordered as they are, and NaN stands above all
        for (long i = 0; i < kBlock; ++i) {
            uint32_t bits;
            std::memcpy(&bits, block + i, 4);
            bits &= 0x7fffffffu;
            top = bits > top ? bits : top;
        }
        float largest;
        std::memcpy(&largest, &top, 4);
        bool is_finite = top < 0x7f800000u;
        float scale = largest / 32767.0f;
        float factor = is_finite && scale > 1e-37f ? 32767.0f / largest : 0.0f;
        *scales = is_finite ? scale : NAN;
        for (long i = 0; i < kBlock; ++i)
            numbers[i] = (int16_t)(int32_t)(is_finite ? block[i] * factor + (block[i] < 0 ? -0.5f : 0.5f) : 0.0f);
    }
}

void quantize_plain(const float* x, long n, int16_t* numbers, float* scales) { quantize_row(x, n, numbers, scales); }

template <int R>
void tile_plain(const Rows& rows, long row, const int8_t* w, const uint16_t* s, float* out) {
    float sums[R][kPanel] = {};
    for (long b = 0; b < rows.n_blocks; ++b, w += kBlock * kPanel, s += kPanel) {
        int32_t dots[R][kPanel] = {};
        for (int r = 0; r < R; ++r) {
            const int16_t* x = rows.numbers_of(row + r) + b * kGroup * kBlock;
            for (long k = 0; k < kBlock; k += 2)
                for (long o = 0; o < kPanel; ++o)
                    dots[r][o] += w[(k / 2 * kPanel + o) * 2] * x[k] + w[(k / 2 * kPanel + o) * 2 + 1] * x[k + 1];
        }
        float scale[kPanel];
        for (long o = 0; o < kPanel; ++o) scale[o] = half_to_float(s[o]);
        for (int r = 0; r < R; ++r)
            for (long o = 0; o < kPanel; ++o)
                sums[r][o] += (float)dots[r][o] * (scale[o] * rows.scales_of(row + r)[b * kGroup]);
    }
    std::memcpy(out, sums, sizeof sums);
}

#ifdef HAS_X86
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")))

AVX2 void quantize_avx2(const float* x, long n, int16_t* q, float* scales) { quantize_row(x, n, q, scales); }
AVX512 void quantize_avx512(const float* x, long n, int16_t* q, float* scales) { quantize_row(x, n, q, scales); }

inline int32_t pair_at(const int16_t* x) {
    int32_t pair;
    std::memcpy(&pair, x, 4);
    return pair;
}

// R rows; few rows keep U sums apart, so that an addition need not wait for the one before.
template <int R, int U>
AVX2 void tile_avx2(const Rows& rows, long row, const int8_t* w, const uint16_t* s, float* out) {
    const int16_t* x = rows.numbers_of(row);
    const float* x_scale = rows.scales_of(row);
    __m256 sums[R][2];
    for (int r = 0; r < R; ++r)
        for (int h = 0; h < 2; ++h) sums[r][h] = _mm256_setzero_ps();
    for (long b = rows.n_blocks; b > 0; --b) {
        __m256i dots[U][R][2];
        for (int u = 0; u < U; ++u)
            for (int r = 0; r < R; ++r)
                for (int h = 0; h < 2; ++h) dots[u][r][h] = _mm256_setzero_si256();
#pragma GCC unroll 16
        for (int p = 0; p < kBlock / 2; ++p) {
            __m256i wide[2];
            for (int h = 0; h < 2; ++h)
                wide[h] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(w + p * 32 + h * 16)));
            for (int r = 0; r < R; ++r) {
                __m256i pair = _mm256_set1_epi32(pair_at(x + r * kBlock + 2 * p));
                for (int h = 0; h < 2; ++h) {
                    __m256i& dot = dots[p % U][r][h];
                    dot = _mm256_add_epi32(dot, _mm256_madd_epi16(wide[h], pair));
                    __asm__("" : "+x"(dot));  // else GCC multiplies first, adds last, and spills: 42 GMAC/s instead of 71
                }
            }
        }
        for (int h = 0; h < 2; ++h) {
            __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(s + h * 8)));
            for (int r = 0; r < R; ++r) {
                __m256i dot = dots[0][r][h];
                for (int u = 1; u < U; ++u) dot = _mm256_add_epi32(dot, dots[u][r][h]);
                __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(x_scale[r]));
                sums[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), both, sums[r][h]);
            }
        }
        w += kBlock * kPanel, s += kPanel, x += kGroup * kBlock, x_scale += kGroup;
    }
    for (int r = 0; r < R; ++r)
        for (int h = 0; h < 2; ++h) _mm256_storeu_ps(out + r * kPanel + h * 8, sums[r][h]);
}

template <int R, int U>
AVX512 void tile_avx512(const Rows& rows, long row, const int8_t* w, const uint16_t* s, float* out) {
    const int16_t* x = rows.numbers_of(row);
    const float* x_scale = rows.scales_of(row);
    __m512 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
    for (long b = rows.n_blocks; b > 0; --b) {
        __m512i dots[U][R];
        for (int u = 0; u < U; ++u)
            for (int r = 0; r < R; ++r) dots[u][r] = _mm512_setzero_si512();
#pragma GCC unroll 16
        for (int p = 0; p < kBlock / 2; ++p) {
            __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)(w + p * 32)));
            for (int r = 0; r < R; ++r)
                dots[p % U][r] =
                    _mm512_dpwssd_epi32(dots[p % U][r], wide, _mm512_set1_epi32(pair_at(x + r * kBlock + 2 * p)));
        }
        __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)s));
        for (int r = 0; r < R; ++r) {
            __m512i dot = dots[0][r];
            for (int u = 1; u < U; ++u) dot = _mm512_add_epi32(dot, dots[u][r]);
            __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x_scale[r]));
            sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), both, sums[r]);
        }
        w += kBlock * kPanel, s += kPanel, x += kGroup * kBlock, x_scale += kGroup;
    }
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(out + r * kPanel, sums[r]);
}
#endif

struct Kernel {
    Quantize quantize;
    Tile tiles[9];  // by number of rows; null: not there
};
const Kernel kKernels[] = {
    {quantize_plain, {0, tile_plain<1>, tile_plain<2>, 0, tile_plain<4>, 0, 0, 0, 0}},
#ifdef HAS_X86
    {quantize_avx2, {0, tile_avx2<1, 4>, tile_avx2<2, 2>, 0, tile_avx2<4, 1>, 0, 0, 0, 0}},
    {quantize_avx512, {0, tile_avx512<1, 4>, tile_avx512<2, 4>, 0, tile_avx512<4, 2>, 0, 0, 0, tile_avx512<8, 1>}},
#endif
};

Rows rows_in(void* scratch, long n_rows, long n_in) {
    long n_blocks = (n_in + kBlock - 1) / kBlock, n_groups = (n_rows + kGroup - 1) / kGroup;
    float* scales = (float*)scratch;
    return Rows{(int16_t*)(scales + n_groups * kGroup * n_blocks), scales, n_blocks};
}

void run_panel(const Kernel& kernel, const Rows& rows, long n_rows, const int8_t* w, const uint16_t* s,
               const float* bias, long n_out, float* y, long stride) {
    float sums[8 * kPanel];
    for (long row = 0; row < n_rows;) {
        long size = n_rows - row >= 8 ? 8 : n_rows - row;
        while (!kernel.tiles[size]) --size;
        kernel.tiles[size](rows, row, w, s, sums);
        for (long r = 0; r < size; ++r)
            for (long o = 0; o < n_out; ++o)
                y[(row + r) * stride + o] = bias ? sums[r * kPanel + o] + bias[o] : sums[r * kPanel + o];
        row += size;
    }
}

}  // namespace

extern "C" {

// The fastest path that this processor has; the slower ones work, too.
int spa_best_path() {
#ifdef HAS_X86
    __builtin_cpu_init();
    bool has_avx512 = __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (has_avx512 && __builtin_cpu_supports("avx512vnni")) return kAvx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2;  // all of them have f16c
#endif
    return kPlain;
}

size_t spa_scratch_bytes(long n_rows, long n_in) {
    long n_groups = (n_rows + kGroup - 1) / kGroup, n_blocks = (n_in + kBlock - 1) / kBlock;
    return n_groups * kGroup * n_blocks * (kBlock * sizeof(int16_t) + sizeof(float));
}

void spa_quantize_in_team(int path, const float* x, long n_rows, long n_in, void* scratch) {
    const Rows rows = rows_in(scratch, n_rows, n_in);
#pragma omp for schedule(static)
    for (long row = 0; row < n_rows; ++row)
        kKernels[path].quantize(x + row * n_in, n_in, (int16_t*)rows.numbers_of(row), (float*)rows.scales_of(row));
}

void spa_multiply_in_team(int path, void* scratch, long n_rows, long n_in, const int8_t* weights,
                          const uint16_t* scales, const float* bias, long n_out, float* y) {
    const Rows rows = rows_in(scratch, n_rows, n_in);
    const long n_panels = (n_out + kPanel - 1) / kPanel, size = rows.n_blocks * kPanel;
#pragma omp for schedule(static) nowait
    for (long panel = 0; panel < n_panels; ++panel) {
        long first = panel * kPanel;
        run_panel(kKernels[path], rows, n_rows, weights + panel * size * kBlock, scales + panel * size,
                  bias ? bias + first : nullptr, n_out - first < kPanel ? n_out - first : kPanel, y + first, n_out);
    }
}

// x [n_rows, n_in] to y [n_rows, n_out], both dense; 1: there is no memory.
int spa_linear(int path, int n_threads, const float* x, long n_rows, long n_in, const int8_t* weights,
               const uint16_t* scales, const float* bias, long n_out, float* y) {
    static thread_local void* scratch = nullptr;
    static thread_local size_t scratch_size = 0;
    size_t size = spa_scratch_bytes(n_rows, n_in);
    if (size > scratch_size) {
        std::free(scratch);
        scratch = std::malloc(size);
        scratch_size = scratch ? size : 0;
        if (!scratch) return 1;
    }
    void* shared = scratch;  // of this thread, for all of the team
#pragma omp parallel num_threads(n_threads)
    {
        spa_quantize_in_team(path, x, n_rows, n_in, shared);
        spa_multiply_in_team(path, shared, n_rows, n_in, weights, scales, bias, n_out, y);
    }
    return 0;
}

}
