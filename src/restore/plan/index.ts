/** From a restore point and today's cloud to what is going to be done, and what will not be as it was. It changes nothing. */
export { firstClassDiskPlanView, planFirstClassDisk } from './plan-first-class-disk.js';
export { mediumPlanView, planMedium } from './plan-medium.js';
export { planRestore, type PlanParts } from './plan-restore.js';
export { isOfVms } from './items.js';
export { rulesOf } from './restrict.js';
export { assertCanStart, planView } from './plan-view.js';
