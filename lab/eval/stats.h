/* Statistics of the evaluation. All functions are pure; tests/lab/test_stats.c compares them with
 * values of scipy and statsmodels. They return NaN if a figure is not defined. */
#ifndef S2A_EVAL_STATS_H
#define S2A_EVAL_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct stats_interval {
    double low, high;
} stats_interval;

/* Wilson score interval, without continuity correction, of k successes in n trials; level such as
 * 0.95. n 0: [0, 1]; k > n: NaN. (statsmodels: proportion_confint(k, n, 1 - level, "wilson")) */
stats_interval stats_wilson(uint64_t k, uint64_t n, double level);

/* The quantile of the standard normal distribution: stats_normal_quantile(0.975) is 1.96.
 * -infinity for 0, infinity for 1, NaN outside [0, 1]. (scipy.stats.norm.ppf) */
double stats_normal_quantile(double p);

/* McNemar's exact test (binomial, two-sided) on the discordant pairs: b = first right and second
 * wrong, c = the reverse. 1 when b + c is 0. (statsmodels: mcnemar(..., exact=True)) */
double stats_mcnemar_exact(uint64_t b, uint64_t c);

/* Pairs needed, a whole number, so that McNemar's test sees a difference with this power at this
 * two-sided level, where the shares of discordant pairs are p10 and p01 (Connor 1987, Biometrics
 * 43, 207-211). NaN when p10 == p01. */
double stats_mcnemar_pairs_needed(double p10, double p01, double alpha, double power);

/* SplitMix64, for the bootstrap; any seed is fine. */
typedef struct stats_rng {
    uint64_t state;
} stats_rng;
void stats_rng_seed(stats_rng *rng, uint64_t seed);
uint64_t stats_rng_next(stats_rng *rng);
/* Uniform in [0, n), without modulo bias; n > 0. */
uint64_t stats_rng_below(stats_rng *rng, uint64_t n);

/* One statistic over a resampled set: index[count] are the chosen items, with repetition. */
typedef double (*stats_statistic)(void *ctx, const size_t *index, size_t count);

/* Percentile bootstrap over items (clusters: an item's seeds stay together): rounds resamples of
 * count items. Resamples in which the statistic is NaN are ignored; *used (may be NULL) is the
 * number of the others. NaN, NaN if fewer than half were used, or when out of memory (*used is then
 * SIZE_MAX). The same seed gives the same interval. */
stats_interval stats_bootstrap(stats_statistic statistic, void *ctx, size_t count, size_t rounds,
                               double level, uint64_t seed, size_t *used);

/* The share of the gap from baseline to oracle that an arm closes: (arm - base) / (oracle - base).
 * NaN when the gap is smaller than 1e-9. */
double stats_gap_closed(double base, double oracle, double arm);

/* Area under the ROC curve, ties count half: positive[i] says which of score[count] are positive.
 * NaN when one class is empty or out of memory. (sklearn: roc_auc_score) */
double stats_auc(const double *score, const bool *positive, size_t count);

/* Sorts values in place; the q-quantile by linear interpolation (numpy's default). NaN for none. */
double stats_quantile(double *values, size_t count, double q);

#endif
