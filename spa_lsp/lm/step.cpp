// One decode step, one token a row, through all layers of a decoder of Qwen2's kind: a thousand small operators of torch
// as one call. A row i stands behind prefix `prefix_of[i]`, has adapter `adapter_of[i]`, and own keys and values.
//
// All threads walk through the step together: they share the rows, or the panels of a product, and wait for each other.
// What is not a product of weights is written once, for vectors of eight, and compiled for each instruction set.

#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernel.h"

namespace {

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Ints{__VA_ARGS__})
#endif
#define INLINE static inline __attribute__((always_inline))

constexpr long kWidth = 8, kBlock = 64;  // keys that stay in the nearest cache while all queries look at them
typedef float Floats __attribute__((vector_size(kWidth * 4)));
typedef int32_t Ints __attribute__((vector_size(kWidth * 4)));

struct Matrix {
    const int8_t* weights;
    const uint16_t* scales;
    const float *bias, *down, *up;  // down [K, rank, n_in], up [K, rank, n_out]; null: nothing
    int64_t n_in, n_out, rank;
};

struct Layer {
    Matrix q, k, v, o, gate, up, down;
    const float *attention_norm, *mlp_norm;
};

struct Memory {  // keys and values [rows][heads][length][head width]
    float *keys, *values;
    int64_t key_stride, value_stride;  // from head to head
};

}  // namespace

extern "C" struct Step {
    int64_t path, n_threads, n_layers, n_rows, width, n_heads, n_kv_heads, head_width, mlp_width;
    double epsilon, scaling;
    const Layer* layers;
    const float* last_norm;
    const float *cos, *sin;  // [n_rows, head_width]
    const int64_t *prefix_of, *adapter_of;  // by row
    int64_t n_prefixes, own_length;
    const int64_t* prefix_lengths;
    const Memory *prefixes, *own;  // [n_layers][n_prefixes]; [n_layers]
    float* x;  // [n_rows, width], in and out
};

namespace {

struct Scratch {
    float *h, *q, *k, *v, *attended, *gate, *up, *added, *scores;
    void* numbers;
    size_t scores_size;  // of one thread
};

INLINE Floats load(const float* from) {
    Floats loaded;
    std::memcpy(&loaded, from, sizeof loaded);
    return loaded;
}
INLINE void store(float* to, Floats values) { std::memcpy(to, &values, sizeof values); }
INLINE Floats all(float value) { return Floats{} + value; }
INLINE float sum(Floats a) { return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])); }

// e^x, off by some 1e-7 of it; below -87 as there.
INLINE Floats exponential(Floats x) {
    x = x < -87.0f ? all(-87.0f) : x > 88.0f ? all(88.0f) : x;  // NaN stays
    Floats n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounded
    Floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Floats p = all(1.9875691500e-4f);
    for (float factor : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        p = p * r + factor;
    Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
    Floats power;
    std::memcpy(&power, &bits, sizeof power);
    return (p * r * r + r + 1.0f) * power;
}

INLINE float dot(const float* a, const float* b, long n) {
    Floats sums[4] = {};
    for (long i = 0; i < n; i += kWidth) sums[i / kWidth % 4] += load(a + i) * load(b + i);
    return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

INLINE void add_scaled(float* y, const float* x, float factor, long n) {
    for (long i = 0; i < n; i += kWidth) store(y + i, load(y + i) + factor * load(x + i));
}

INLINE void normalize(const Step& s, const float* x, const float* weights, float* y) {
    float factor = 1.0f / __builtin_sqrtf(dot(x, x, s.width) / s.width + (float)s.epsilon);
    for (long i = 0; i < s.width; i += kWidth) store(y + i, load(weights + i) * (load(x + i) * factor));
}

INLINE void adapt(const Step& s, const Matrix& m, long row, const float* x, float* y) {
    if (!m.down) return;
    long adapter = s.adapter_of[row];
    const float *down = m.down + adapter * m.rank * m.n_in, *up = m.up + adapter * m.rank * m.n_out;
    for (long r = 0; r < m.rank; ++r) add_scaled(y, up + r * m.n_out, dot(x, down + r * m.n_in, m.n_in), m.n_out);
}

INLINE void rotate(const Step& s, long row, float* x, float factor) {
    const long half = s.head_width / 2;
    const float *cos = s.cos + row * s.head_width, *sin = s.sin + row * s.head_width;
    for (long i = 0; i < half; ++i) {
        float a = x[i], b = x[i + half];
        x[i] = (a * cos[i] - b * sin[i]) * factor;
        x[i + half] = (b * cos[i + half] + a * sin[i + half]) * factor;
    }
}

// The sums of eight vectors.
INLINE Floats sums(const Floats* a) {
    Floats pairs[4], fours[2];
    for (int i = 0; i < 4; ++i)
        pairs[i] = SHUFFLE(a[2 * i], a[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                   SHUFFLE(a[2 * i], a[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; ++i)
        fours[i] = SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                   SHUFFLE(pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return SHUFFLE(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           SHUFFLE(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

// Eight scores are written at a time: up to seven behind the last one are of no meaning.
INLINE void score(const float* query, const float* keys, long n, long width, float* scores) {
    for (long first = 0; first < n; first += kWidth) {
        const float* at[kWidth];
        for (long i = 0; i < kWidth; ++i) at[i] = keys + (first + i < n ? first + i : n - 1) * width;
        Floats products[kWidth] = {};
        for (long d = 0; d < width; d += kWidth) {
            Floats part = load(query + d);
            for (long i = 0; i < kWidth; ++i) products[i] += part * load(at[i] + d);
        }
        store(scores + first, sums(products));
    }
}

template <int N>
INLINE void add_values(const float* weights, const float* values, long n, long width, float* out) {
    Floats parts[N];
    for (int i = 0; i < N; ++i) parts[i] = load(out + i * kWidth);
    for (long place = 0; place < n; ++place)
        for (int i = 0; i < N; ++i) parts[i] += weights[place] * load(values + place * width + i * kWidth);
    for (int i = 0; i < N; ++i) store(out + i * kWidth, parts[i]);
}

INLINE void mix(const float* weights, const float* values, long n, long width, float* out) {
    long d = 0;
    for (; d + 8 * kWidth <= width; d += 8 * kWidth) add_values<8>(weights, values + d, n, width, out + d);
    for (; d < width; d += kWidth) add_values<1>(weights, values + d, n, width, out + d);
}

// From scores to weights, whose sum comes back.
INLINE float weigh(float* scores, long n) {
    for (long i = n; i % kWidth; ++i) scores[i] = -1e30f;
    Floats most = load(scores), total = {};
    for (long i = kWidth; i < n; i += kWidth) most = load(scores + i) > most ? load(scores + i) : most;
    float largest = most[0];
    for (long i = 1; i < kWidth; ++i) largest = most[i] > largest ? most[i] : largest;
    for (long i = 0; i < n; i += kWidth) {
        Floats weights = exponential(load(scores + i) - largest);
        if (i + kWidth > n)
            for (long j = n - i; j < kWidth; ++j) weights[j] = 0.0f;
        store(scores + i, weights);
        total += weights;
    }
    return sum(total);
}

// All queries of one row that share a head of keys.
INLINE void attend(const Step& s, const Memory& prefix, const Memory& own, long row, long head, const float* q,
                   float* scores, float* out) {
    const long n_queries = s.n_heads / s.n_kv_heads, D = s.head_width;
    const long n_prefix = s.prefix_of[row] < 0 ? 0 : s.prefix_lengths[s.prefix_of[row]], n_own = s.own_length + 1;
    const long stride = n_prefix + n_own + 2 * kWidth, own_head = row * s.n_kv_heads + head;
    const float *keys = prefix.keys + head * prefix.key_stride, *own_keys = own.keys + own_head * own.key_stride;
    const float *values = prefix.values + head * prefix.value_stride;
    const float *own_values = own.values + own_head * own.value_stride;
    for (long first = 0; first < n_prefix; first += kBlock)
        for (long g = 0; g < n_queries; ++g)
            score(q + g * D, keys + first * D, n_prefix - first < kBlock ? n_prefix - first : kBlock, D,
                  scores + g * stride + first);
    for (long g = 0; g < n_queries; ++g) score(q + g * D, own_keys, n_own, D, scores + g * stride + n_prefix);
    std::memset(out, 0, sizeof(float) * n_queries * D);
    float totals[64];
    for (long g = 0; g < n_queries; ++g) totals[g] = weigh(scores + g * stride, n_prefix + n_own);
    for (long first = 0; first < n_prefix; first += kBlock)
        for (long g = 0; g < n_queries; ++g)
            mix(scores + g * stride + first, values + first * D,
                n_prefix - first < kBlock ? n_prefix - first : kBlock, D, out + g * D);
    for (long g = 0; g < n_queries; ++g) {
        mix(scores + g * stride + n_prefix, own_values, n_own, D, out + g * D);
        for (long d = 0; d < D; ++d) out[g * D + d] /= totals[g];
    }
}

INLINE void gate(float* values, const float* up, long n) {
    for (long i = 0; i < n; i += kWidth) {
        Floats value = load(values + i);
        store(values + i, value / (1.0f + exponential(-value)) * load(up + i));
    }
}

INLINE void multiply(const Step& s, const Scratch& t, const Matrix& m, float* y) {
    spa_multiply_in_team(s.path, t.numbers, s.n_rows, m.n_in, m.weights, m.scales, m.bias, m.n_out, y);
}

INLINE void run(const Step& s, const Scratch& t) {
    const long D = s.head_width, q_width = s.n_heads * D, kv_width = s.n_kv_heads * D;
#pragma omp for schedule(static)
    for (long row = 0; row < s.n_rows; ++row)
        normalize(s, s.x + row * s.width, s.layers[0].attention_norm, t.h + row * s.width);
    for (long n = 0; n < s.n_layers; ++n) {
        const Layer& layer = s.layers[n];
        const Memory& own = s.own[n];
        spa_quantize_in_team(s.path, t.h, s.n_rows, s.width, t.numbers);
        multiply(s, t, layer.q, t.q);
        multiply(s, t, layer.k, t.k);
        multiply(s, t, layer.v, t.v);
#pragma omp barrier
#pragma omp for schedule(static)
        for (long row = 0; row < s.n_rows; ++row) {
            float *h = t.h + row * s.width, *q = t.q + row * q_width, *k = t.k + row * kv_width, *v = t.v + row * kv_width;
            adapt(s, layer.q, row, h, q);
            adapt(s, layer.k, row, h, k);
            adapt(s, layer.v, row, h, v);
            for (long head = 0; head < s.n_heads; ++head) rotate(s, row, q + head * D, (float)s.scaling);
            for (long head = 0; head < s.n_kv_heads; ++head) {
                long at = row * s.n_kv_heads + head;
                rotate(s, row, k + head * D, 1.0f);
                std::memcpy(own.keys + at * own.key_stride + s.own_length * D, k + head * D, sizeof(float) * D);
                std::memcpy(own.values + at * own.value_stride + s.own_length * D, v + head * D, sizeof(float) * D);
            }
        }
#pragma omp for schedule(static)
        for (long item = 0; item < s.n_rows * s.n_kv_heads; ++item) {  // a thread's rows share a head's prefix
            long row = item % s.n_rows, head = item / s.n_rows, place = row * q_width + head * (s.n_heads / s.n_kv_heads) * D;
            const Memory none = {}, *prefixes = s.prefixes + n * s.n_prefixes;
            attend(s, s.prefix_of[row] < 0 ? none : prefixes[s.prefix_of[row]], own, row, head, t.q + place, t.scores,
                   t.attended + place);
        }
        spa_quantize_in_team(s.path, t.attended, s.n_rows, q_width, t.numbers);
        multiply(s, t, layer.o, t.added);
#pragma omp barrier
#pragma omp for schedule(static)
        for (long row = 0; row < s.n_rows; ++row) {
            float *x = s.x + row * s.width, *added = t.added + row * s.width;
            adapt(s, layer.o, row, t.attended + row * q_width, added);
            add_scaled(x, added, 1.0f, s.width);
            normalize(s, x, layer.mlp_norm, t.h + row * s.width);
        }
        spa_quantize_in_team(s.path, t.h, s.n_rows, s.width, t.numbers);
        multiply(s, t, layer.gate, t.gate);
        multiply(s, t, layer.up, t.up);
#pragma omp barrier
#pragma omp for schedule(static)
        for (long row = 0; row < s.n_rows; ++row) {
            float *h = t.h + row * s.width, *gated = t.gate + row * s.mlp_width, *up = t.up + row * s.mlp_width;
            adapt(s, layer.gate, row, h, gated);
            adapt(s, layer.up, row, h, up);
            gate(gated, up, s.mlp_width);
        }
        spa_quantize_in_team(s.path, t.gate, s.n_rows, s.mlp_width, t.numbers);
        multiply(s, t, layer.down, t.added);
#pragma omp barrier
#pragma omp for schedule(static)
        for (long row = 0; row < s.n_rows; ++row) {
            float *x = s.x + row * s.width, *added = t.added + row * s.width;
            const bool is_last = n + 1 == s.n_layers;
            adapt(s, layer.down, row, t.gate + row * s.mlp_width, added);
            add_scaled(x, added, 1.0f, s.width);
            normalize(s, x, is_last ? s.last_norm : s.layers[n + 1].attention_norm, is_last ? x : t.h + row * s.width);
        }
    }
}

void run_plain(const Step& s, const Scratch& t) { run(s, t); }
#ifdef __x86_64__
__attribute__((target("avx2,fma"))) void run_avx2(const Step& s, const Scratch& t) { run(s, t); }
#endif

// Where everything lies in one piece of memory, whose size comes back; every thread has scores of its own.
size_t divide(const Step& s, char* memory, Scratch* t) {
    size_t end = 0;
    auto take = [&](size_t size) {
        char* taken = memory + end;
        end += (size + 63) / 64 * 64;
        return (float*)taken;
    };
    const long q_width = s.n_heads * s.head_width, kv_width = s.n_kv_heads * s.head_width, n = s.n_rows * sizeof(float);
    long widest = q_width > s.width ? q_width : s.width, longest = 0;
    widest = s.mlp_width > widest ? s.mlp_width : widest;
    for (long i = 0; i < s.n_prefixes; ++i) longest = s.prefix_lengths[i] > longest ? s.prefix_lengths[i] : longest;
    t->h = take(n * s.width), t->added = take(n * s.width), t->q = take(n * q_width), t->attended = take(n * q_width);
    t->k = take(n * kv_width), t->v = take(n * kv_width), t->gate = take(n * s.mlp_width), t->up = take(n * s.mlp_width);
    t->numbers = take(spa_scratch_bytes(s.n_rows, widest));
    t->scores_size = s.n_heads / s.n_kv_heads * (longest + s.own_length + 1 + 2 * kWidth);
    t->scores = take(s.n_threads * t->scores_size * sizeof(float));
    return end;
}

}  // namespace

// 1: there is no memory.
extern "C" int spa_step(const Step* step) {
    Scratch shared;
    char* memory = (char*)std::malloc(divide(*step, nullptr, &shared));
    if (!memory) return 1;
    divide(*step, memory, &shared);
#pragma omp parallel num_threads(step->n_threads)
    {
        Scratch own = shared;
        own.scores += omp_get_thread_num() * shared.scores_size;
        if (step->path == 0) run_plain(*step, own);
#ifdef __x86_64__
        else run_avx2(*step, own);
#endif
    }
    std::free(memory);
    return 0;
}
