/* Statistics of the evaluation. Pure and thread-safe; memory is taken only where an order is needed
 * (ranks) or a sample is drawn (bootstrap). */
#include "eval/stats.h"

#include <math.h>
#include <stdlib.h>

/* ---- the normal distribution and proportions --------------------------------------------- */

/* c[0] + c[1] r + ... + c[7] r^7 */
static double polynomial(const double c[8], double r)
{
    double value = c[7];
    for (int i = 6; i >= 0; i--)
        value = value * r + c[i];
    return value;
}

/* Algorithm AS 241, PPND16 (M. J. Wichura, Applied Statistics 37, 1988, 477-484): rational
 * approximations in the middle and in two parts of the tail, good to about 1 part in 1e16. */
double stats_normal_quantile(double p)
{
    static const double middle_num[8] = {
        3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
        1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
        3.3430575583588128105e+4, 2.5090809287301226727e+3,
    };
    static const double middle_den[8] = {
        1.0,
        4.2313330701600911252e+1,
        6.8718700749205790830e+2,
        5.3941960214247511077e+3,
        2.1213794301586595867e+4,
        3.9307895800092710610e+4,
        2.8729085735721942674e+4,
        5.2264952788528545610e+3,
    };
    static const double near_num[8] = {
        1.42343711074968357734e0,  4.63033784615654529590e0,  5.76949722146069140550e0,
        3.64784832476320460504e0,  1.27045825245236838258e0,  2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4,
    };
    static const double near_den[8] = {
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    };
    static const double far_num[8] = {
        6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
    };
    static const double far_den[8] = {
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    };
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(middle_num, r) / polynomial(middle_den, r);
    }
    double r = sqrt(-log(q < 0 ? p : 1 - p));
    double z = r <= 5 ? polynomial(near_num, r - 1.6) / polynomial(near_den, r - 1.6)
                      : polynomial(far_num, r - 5) / polynomial(far_den, r - 5);
    return q < 0 ? -z : z;
}

stats_interval stats_wilson(uint64_t k, uint64_t n, double level)
{
    if (k > n || !(level > 0 && level < 1))
        return (stats_interval){ NAN, NAN };
    if (n == 0)
        return (stats_interval){ 0, 1 };
    double trials = (double)n, p = (double)k / trials;
    double z = stats_normal_quantile(0.5 + level / 2), z2 = z * z;
    double scale = 1 + z2 / trials, centre = (p + z2 / (2 * trials)) / scale;
    double half = z / scale * sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials));
    /* At the ends one bound is 0 or 1 but for rounding. */
    return (stats_interval){ k == 0 ? 0 : centre - half, k == n ? 1 : centre + half };
}

/* ---- paired tests ------------------------------------------------------------------------ */

/* lgamma without its global sign, which threads would share */
static double log_factorial(double n)
{
    int sign = 0;
    return lgamma_r(n + 1, &sign);
}

double stats_mcnemar_exact(uint64_t b, uint64_t c)
{
    if (b == c)
        return 1;
    double k = (double)(b < c ? b : c), n = (double)b + (double)c;
    /* Twice the lower tail of the binomial distribution, p = 1/2, from its largest term down. */
    double term = exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) - n * log(2));
    double tail = 0;
    for (; term > tail * 1e-18; k--) {
        tail += term;
        if (k == 0)
            break;
        term *= k / (n - k + 1);
    }
    return fmin(1, 2 * tail);
}

double stats_mcnemar_pairs_needed(double p10, double p01, double alpha, double power)
{
    double discordant = p10 + p01, difference = p10 - p01;
    bool shares = p10 >= 0 && p01 >= 0 && discordant <= 1 + 1e-12;
    if (!shares || difference == 0 || !(alpha > 0 && alpha < 1) || !(power > 0 && power < 1))
        return NAN;
    double z_alpha = stats_normal_quantile(1 - alpha / 2), z_power = stats_normal_quantile(power);
    double spread = fmax(0, discordant - difference * difference);
    double root = (z_alpha * sqrt(discordant) + z_power * sqrt(spread)) / difference;
    return ceil(root * root);
}

/* ---- bootstrap --------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a counter that is mixed, so no seed is bad. */
void stats_rng_seed(stats_rng *rng, uint64_t seed)
{
    rng->state = seed;
}

uint64_t stats_rng_next(stats_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t stats_rng_below(stats_rng *rng, uint64_t n)
{
    /* 2^64 mod n values are left over by whole runs of n; as many at the start are drawn again. */
    uint64_t left_over = (0 - n) % n, value;
    do
        value = stats_rng_next(rng);
    while (value < left_over);
    return value % n;
}

stats_interval stats_bootstrap(stats_statistic statistic, void *ctx, size_t count, size_t rounds,
                               double level, uint64_t seed, size_t *used)
{
    stats_interval interval = { NAN, NAN };
    size_t done = 0, *index = NULL;
    double *values = NULL;
    if (used)
        *used = 0;
    if (count == 0 || rounds == 0 || !(level > 0 && level < 1))
        return interval;
    index = calloc(count, sizeof *index);
    values = calloc(rounds, sizeof *values);
    if (!index || !values) {
        if (used)
            *used = SIZE_MAX;
        goto out;
    }
    stats_rng rng;
    stats_rng_seed(&rng, seed);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            index[i] = (size_t)stats_rng_below(&rng, count);
        double value = statistic(ctx, index, count);
        if (!isnan(value))
            values[done++] = value;
    }
    if (used)
        *used = done;
    if (done > 0 && done >= rounds - done) {
        interval.low = stats_quantile(values, done, 0.5 - level / 2);
        interval.high = stats_quantile(values, done, 0.5 + level / 2);
    }
out:
    free(values);
    free(index);
    return interval;
}

double stats_gap_closed(double base, double oracle, double arm)
{
    double gap = oracle - base;
    return fabs(gap) >= 1e-9 ? (arm - base) / gap + 0.0 /* not -0 */ : NAN;
}

/* ---- ranks ------------------------------------------------------------------------------- */

typedef struct ranked {
    double value;
    size_t index;
} ranked;

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y); /* last */
    return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
    return by_number(&((const ranked *)a)->value, &((const ranked *)b)->value);
}

/* Ranks from 1, equal values share the mean of theirs. malloc'ed; NULL when out of memory. */
static double *mean_ranks(const double *values, size_t count)
{
    ranked *order = calloc(count, sizeof *order);
    double *ranks = calloc(count, sizeof *ranks);
    if (!order || !ranks) {
        free(order);
        free(ranks);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (ranked){ values[i], i };
    qsort(order, count, sizeof *order, by_value);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && order[end].value == order[i].value;)
            end++;
        for (size_t k = i; k < end; k++)
            ranks[order[k].index] = ((double)(i + 1) + (double)end) / 2;
    }
    free(order);
    return ranks;
}

static bool has_nan(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return true;
    return false;
}

double stats_auc(const double *score, const bool *positive, size_t count)
{
    if (count == 0 || has_nan(score, count))
        return NAN;
    double *ranks = mean_ranks(score, count);
    if (!ranks)
        return NAN;
    double sum = 0, yes = 0;
    for (size_t i = 0; i < count; i++) {
        if (positive[i]) {
            sum += ranks[i];
            yes++;
        }
    }
    free(ranks);
    /* Mann and Whitney's U as a share of all pairs */
    double pairs = yes * ((double)count - yes);
    return pairs > 0 ? (sum - yes * (yes + 1) / 2) / pairs : NAN;
}

/* ---- quantiles --------------------------------------------------------------------------- */

double stats_quantile(double *values, size_t count, double q)
{
    if (count == 0 || !(q >= 0 && q <= 1))
        return NAN;
    qsort(values, count, sizeof *values, by_number);
    if (isnan(values[count - 1]))
        return NAN;
    double place = q * (double)(count - 1), whole = floor(place);
    size_t at = (size_t)whole;
    if (at + 1 >= count || place == whole) /* no neighbour, or one that has no part in it */
        return values[at < count ? at : count - 1];
    return values[at] + (values[at + 1] - values[at]) * (place - whole);
}
