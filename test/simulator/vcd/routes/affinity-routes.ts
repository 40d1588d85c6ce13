import { type Exchange, ok } from '../exchange.js';
import { createAffinityRule, deleteAffinityRule, updateAffinityRule } from '../operations/affinity.js';
import { requireAffinityRule } from '../operations/entities.js';
import { type Route, route } from '../router.js';
import { affinityRulesView, affinityRuleView } from '../views/affinity-view.js';
import { MEDIA } from '../xml-names.js';

const idOf = (exchange: Exchange): string => exchange.parameters.id ?? '';

/** VM affinity rules of a VDC. */
export const affinityRoutes: readonly Route[] = [
  route('GET', 'vdc/:id/vmAffinityRules', (exchange) =>
    ok(affinityRulesView(exchange, exchange.cloud.requireVdc(exchange.session, idOf(exchange))), MEDIA.affinityRules),
  ),
  route('POST', 'vdc/:id/vmAffinityRules', createAffinityRule),
  route('GET', 'vmAffinityRule/:id', (exchange) =>
    ok(affinityRuleView(exchange, requireAffinityRule(exchange, idOf(exchange))), MEDIA.affinityRule),
  ),
  route('PUT', 'vmAffinityRule/:id', updateAffinityRule),
  route('DELETE', 'vmAffinityRule/:id', deleteAffinityRule),
];
