// What an action's words say of how it went, so that what failed is seen at once. Never the only sign: the words stand.

const BAD = /fail|error|crash|firing|abort|timed?.?out|denied|refused|degraded|unhealthy|rollback|rolled.back|critical|lost/i;
const GOOD = /resolved|recovered|healthy|fixed/i; // what has passed as ever needs no colour

export const tone = (action) => (BAD.test(action) ? "bad" : GOOD.test(action) ? "good" : "plain");
