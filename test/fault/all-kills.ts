/** `npm run test:fault` tries every moment; `npm test` a sample of them, so that it ends in minutes on two cores. */
export const ALL_KILLS = process.env.ALL_KILLS === '1';
