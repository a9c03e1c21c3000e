//! The tests by which two runs are compared.

/// The median; zero of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let [_, median, _] = quartiles(values);
    median
}

/// The quartiles, between neighbours where there is no value; zeros of nothing.
pub(super) fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return [0.0; 3] };
    [1, 2, 3].map(|quarter| {
        let (below, rest) = (quarter * last / 4, (quarter * last % 4) as f64 / 4.0);
        let above = sorted[(below + 1).min(last)];
        sorted[below] + (above - sorted[below]) * rest
    })
}

/// How far the halves of a run differ, as a share of its median.
pub(super) fn drift(values: &[f64]) -> f64 {
    let (first, second) = values.split_at(values.len() / 2);
    let (of_all, apart) = (median(values), (median(first) - median(second)).abs());
    if of_all > 0.0 { apart / of_all } else { 0.0 }
}

/// The p-value of Welch's test on the ranks of two runs, two-sided: how probable it is that runs of
/// the same differ as these do. The values of each are in the order of time: as neighbours are
/// alike, there are fewer independent values than there are values. Mann and Whitney's test has the
/// variance of both runs together: if neighbours are very alike, it can't call runs different that
/// don't overlap at all.
pub(super) fn welch_on_ranks(one: &[f64], other: &[f64]) -> f64 {
    let ranks = ranks(&[one, other].concat());
    let (ours, theirs) = ranks.split_at(one.len());
    let apart = (mean(ours) - mean(theirs)).abs();
    if apart <= 0.0 {
        return 1.0;
    }
    let of_mean = |ranks: &[f64]| squares(ranks) / count(ranks) / (count(ranks) - 1.0);
    let variance = of_mean(ours) + of_mean(theirs);
    // If both are constant, it is infinite, and the probability zero.
    two_sided(apart / (variance * inflation(ours, theirs)).sqrt())
}

/// The p-value of a test of two proportions, two-sided, with Yates's correction. Of each, how many
/// went wrong, and how many were tried.
pub(super) fn two_proportions([one, other]: [(f64, f64); 2]) -> f64 {
    let ((wrong, tried), (wrongs, trieds)) = (one, other);
    if tried < 1.0 || trieds < 1.0 {
        return 1.0;
    }
    let (share, each) = ((wrong + wrongs) / (tried + trieds), 1.0 / tried + 1.0 / trieds);
    let apart = ((wrong / tried - wrongs / trieds).abs() - each / 2.0).max(0.0);
    let deviation = (share * (1.0 - share) * each).sqrt();
    if deviation > 0.0 { two_sided(apart / deviation) } else { 1.0 }
}

/// The p-values of several tests, such that it is no more probable that any is below a bound than
/// if there were one test (Holm).
pub(super) fn holm(values: &mut [&mut f64]) {
    values.sort_by(|one, other| one.total_cmp(other));
    let (count, mut least) = (values.len(), 0.0_f64);
    for (number, value) in values.iter_mut().enumerate() {
        least = least.max((**value * (count - number) as f64).min(1.0));
        **value = least;
    }
}

/// The rank of each value, from 1, with the mean of the ranks for equal values.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let (mut ranks, mut before) = (vec![0.0; values.len()], 0.0);
    for equal in order.chunk_by(|one, other| values[*one].total_cmp(&values[*other]).is_eq()) {
        let count = equal.len() as f64;
        equal.iter().for_each(|number| ranks[*number] = before + f64::midpoint(count, 1.0));
        before += count;
    }
    ranks
}

fn count(values: &[f64]) -> f64 {
    values.len().max(1) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values)
}

/// The sum of the squares of the deviations from the mean.
fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean) * (value - mean)).sum()
}

/// By how much it makes the variance greater that neighbours are alike, as in an autoregression.
fn inflation(one: &[f64], other: &[f64]) -> f64 {
    let alone = squares(one) + squares(other);
    if alone <= 0.0 {
        return 1.0;
    }
    let products = |values: &[f64]| -> f64 {
        let mean = mean(values);
        values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum()
    };
    // The estimate is too small, as the mean is estimated too. What may be chance is left out: it
    // would make each short run look like noise.
    let count = count(one) + count(other);
    let likeness = (products(one) + products(other)) / alone + 2.0 / count - 0.5 / count.sqrt();
    let likeness = likeness.clamp(0.0, 0.9);
    (1.0 + likeness) / (1.0 - likeness)
}

/// How probable it is that a normal variable is at least so many deviations away from its mean.
fn two_sided(deviations: f64) -> f64 {
    erfc(deviations / std::f64::consts::SQRT_2)
}

/// The complementary error function of a value that isn't negative, to seven digits: the
/// approximation by Chebyshev polynomials of Numerical Recipes.
fn erfc(x: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (sum - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(value: f64, expected: f64) {
        assert!((value - expected).abs() <= expected.abs() * 1e-3, "{value}, not {expected}");
    }

    #[test]
    fn quartiles_and_medians_lie_between_neighbours() {
        assert_eq!(quartiles(&[4.0, 1.0, 3.0, 2.0]), [1.75, 2.5, 3.25]);
        assert_eq!((median(&[7.0]), median(&[])), (7.0, 0.0));
        is_near(drift(&[10.0, 10.0, 12.0, 12.0]), 2.0 / 11.0);
    }

    #[test]
    fn the_normal_distribution_has_its_tails() {
        for (deviations, expected) in
            [(0.0, 1.0), (1.0, 0.317_310_5), (1.959_964, 0.05), (5.0, 5.733_0e-7)]
        {
            is_near(two_sided(deviations), expected);
        }
    }

    /// As scipy.stats.ttest_ind(equal_var=False) says of the ranks, with the normal distribution,
    /// where no value is like its neighbour.
    #[test]
    fn values_that_differ_have_a_small_p_value() {
        let one = [3.0, 9.0, 1.0, 8.0, 2.0, 7.0];
        let other = [13.0, 19.0, 11.0, 18.0, 12.0, 17.0];
        is_near(welch_on_ranks(&one, &other), 2.777_379_8e-8);
        is_near(welch_on_ranks(&other, &one), 2.777_379_8e-8);
        let other = [3.0, 10.0, 2.0, 9.0, 1.0, 6.0];
        is_near(welch_on_ranks(&one, &other), 0.877_659_199);
        is_near(welch_on_ranks(&[1.0, 5.0, 2.0, 6.0], &[3.0, 3.0, 4.0, 9.0]), 0.581_511_485);
        assert!(welch_on_ranks(&[5.0; 9], &[5.0; 9]) >= 1.0);
        assert!(welch_on_ranks(&[5.0; 9], &[6.0; 9]) <= 0.0);
    }

    #[test]
    fn neighbours_that_are_alike_count_less() {
        let (slow, slower): (Vec<f64>, Vec<f64>) =
            (0..20).map(|n| (f64::from(n), f64::from(n) + 8.0)).unzip();
        let shuffled =
            |values: &[f64]| -> Vec<f64> { (0..20).map(|n| values[n * 7 % 20]).collect() };
        let alike = welch_on_ranks(&slow, &slower);
        let not_alike = welch_on_ranks(&shuffled(&slow), &shuffled(&slower));
        assert!(not_alike < 0.001 && alike > 0.15, "{not_alike} {alike}");
        // Unless the runs lie apart.
        let slower: Vec<f64> = slower.iter().map(|value| value + 20.0).collect();
        assert!(welch_on_ranks(&slow, &slower) < 0.01);
    }

    #[test]
    fn errors_are_compared_by_their_share() {
        assert!(two_proportions([(0.0, 1e6), (0.0, 1e6)]) >= 1.0);
        assert!(two_proportions([(0.0, 1e6), (1.0, 1e6)]) > 0.3);
        assert!(two_proportions([(0.0, 1e6), (20.0, 1e6)]) < 0.001);
        assert!(two_proportions([(0.0, 0.0), (20.0, 1e6)]) >= 1.0);
        is_near(two_proportions([(10.0, 100.0), (22.0, 100.0)]), 0.033_87);
    }

    #[test]
    fn several_tests_are_as_strict_as_one() {
        let (mut a, mut b, mut c) = (0.04, 0.01, 0.03);
        holm(&mut [&mut a, &mut b, &mut c]);
        assert_eq!([a, b, c].map(|p| (p * 1e6).round()), [6e4, 3e4, 6e4]);
    }
}
