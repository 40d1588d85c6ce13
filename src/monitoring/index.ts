/**
 * How the service is: what is wrong becomes alerts, what can be counted becomes metrics for Prometheus.
 *
 * It changes nothing and decides nothing; the rooms below count and look, and `alerts` tells people.
 * It promises that one question to any process that listens answers for all workers, that counters survive restarts, and
 * that no label has values without bound: no organization, object or run is one.
 */
export { MonitoringModule } from './monitoring.module.js';
