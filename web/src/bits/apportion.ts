/** Frequencies from weights, in integers only. docs/spec/container.md, "Apportion". */

export const TOTAL = 16384;

/** Weights >= 0, not all 0, become frequencies >= 1 that sum to 16384. Sums of products stay below 2^53. */
export function apportion(weights: ArrayLike<number>): Int32Array {
  const n = weights.length;
  const shares = new Uint8Array(n).fill(1);
  let room = TOTAL;
  let sum = 0;
  for (;;) {
    let sharing = 0;
    sum = 0;
    for (let i = 0; i < n; i++) {
      if (shares[i]) {
        sharing++;
        sum += weights[i]!;
      }
    }
    room = TOTAL - (n - sharing);
    let dropped = false;
    for (let i = 0; i < n; i++) {
      if (shares[i] && weights[i]! * room < sum) {
        shares[i] = 0;
        dropped = true;
      }
    }
    if (!dropped) break;
  }
  const freqs = new Int32Array(n).fill(1);
  const rests: [number, number][] = [];
  let left = TOTAL;
  for (let i = 0; i < n; i++) {
    if (shares[i]) {
      const product = weights[i]! * room;
      freqs[i] = Math.floor(product / sum);
      rests.push([product - freqs[i]! * sum, i]);
    }
    left -= freqs[i]!;
  }
  rests.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (let i = 0; i < left; i++) freqs[rests[i]![1]]!++;
  return freqs;
}
