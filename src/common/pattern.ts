/** Whether a name fits a pattern in which * stands for any characters and ? for one; all others stand for themselves, case counts. */
export function matchesPattern(name: string, pattern: string): boolean {
  // Walked by hand: as a regular expression, many stars in a foreign pattern would take exponential time.
  let at = 0;
  let want = 0;
  let star = -1;
  let retryAt = 0;
  while (at < name.length) {
    if (want < pattern.length && pattern[want] === '*') {
      star = want;
      want += 1;
      retryAt = at;
    } else if (want < pattern.length && (pattern[want] === '?' || pattern[want] === name[at])) {
      at += 1;
      want += 1;
    } else if (star >= 0) {
      retryAt += 1;
      at = retryAt;
      want = star + 1;
    } else return false;
  }
  while (pattern[want] === '*') want += 1;
  return want === pattern.length;
}
