import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import type { z } from 'zod';
import { OpenToOrganizations, type Principal } from '../access/index.js';
import {
  effectiveQuerySchema,
  policyListSchema,
  policyPreviewRequestSchema,
  policyQuerySchema,
  type PolicyRequest,
  policyRequestSchema,
  policySchema,
  type PreviewOptions,
  previewOptionsSchema,
} from './policy.dto.js';
import { effectiveViewSchema, missedRpoListSchema, policyPreviewSchema } from './policy-views.dto.js';
import { PolicyService, type PolicyView } from './policy.service.js';
import { type EffectiveView, type PolicyPreview, PolicyViews } from './policy-views.service.js';
import { TenantPolicies } from './tenant-policies.js';

type ByPrincipal = Request & { principal?: Principal };

@ApiTags('policies')
@Controller('api/v1/policies')
export class PoliciesController {
  constructor(
    private readonly policies: PolicyService,
    private readonly views: PolicyViews,
    private readonly tenants: TenantPolicies,
  ) {}

  @Get()
  @OpenToOrganizations()
  @ApiOperation({ operationId: 'listPolicies', summary: 'Lists policies; a tenant sees those it may choose among' })
  @ApiOkResponse({ description: 'By name', standardSchema: policyListSchema })
  async list(@Query({ schema: policyQuerySchema }) { cloudId }: z.output<typeof policyQuerySchema>, @Req() request: ByPrincipal) {
    const items = await this.tenants.seen(await this.policies.list(), request.principal?.organizationId ?? null);
    return { items: items.filter(({ scope }) => cloudId === undefined || scope.cloudId === cloudId) };
  }

  @Get('effective')
  @OpenToOrganizations()
  @ApiOperation({ operationId: 'effectivePolicy', summary: 'Shows what holds for one vApp, and from which policy each rule comes' })
  @ApiOkResponse({ description: 'What holds, and what was and will be due', standardSchema: effectiveViewSchema })
  async effective(
    @Query({ schema: effectiveQuerySchema }) { vapp }: z.output<typeof effectiveQuerySchema>,
    @Req() request: ByPrincipal,
  ): Promise<EffectiveView> {
    await this.tenants.refuseForeign(vapp, request.principal?.organizationId ?? null);
    return await this.views.effective(vapp);
  }

  @Get('missed-rpo')
  @OpenToOrganizations()
  @ApiOperation({
    operationId: 'listMissedRpo',
    summary: 'Lists objects whose newest complete restore point is older than their policy wants',
  })
  @ApiOkResponse({ description: 'Longest first', standardSchema: missedRpoListSchema })
  async missed(@Req() request: ByPrincipal) {
    return { items: await this.tenants.missedRpo(request.principal?.organizationId ?? null) };
  }

  @Get(':id')
  @OpenToOrganizations()
  @ApiOperation({ operationId: 'getPolicy', summary: 'Shows one policy' })
  @ApiParam({ name: 'id', description: 'Id of the policy', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The policy', standardSchema: policySchema })
  async get(@Param('id') id: string, @Req() request: ByPrincipal): Promise<PolicyView> {
    return await this.tenants.seenOne(await this.policies.get(id), request.principal?.organizationId ?? null);
  }

  @Post()
  @ApiOperation({ operationId: 'createPolicy', summary: 'Makes a policy; it holds from the next round on' })
  @ApiCreatedResponse({ description: 'The policy', standardSchema: policySchema })
  async create(@Body({ schema: policyRequestSchema }) body: PolicyRequest): Promise<PolicyView> {
    return await this.policies.create(body);
  }

  @Put(':id')
  @ApiOperation({
    operationId: 'replacePolicy',
    summary: 'Gives a policy another text, all of it; runs under way keep the settings they have',
  })
  @ApiParam({ name: 'id', description: 'Id of the policy', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The policy', standardSchema: policySchema })
  async replace(@Param('id') id: string, @Body({ schema: policyRequestSchema }) body: PolicyRequest): Promise<PolicyView> {
    return await this.policies.replace(id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deletePolicy', summary: 'Deletes a policy; from then on its objects have what wider policies say' })
  @ApiParam({ name: 'id', description: 'Id of the policy', schema: { type: 'string' } })
  @ApiNoContentResponse({ description: 'It holds for nothing any more; restore points stay until another policy’s retention removes them' })
  async remove(@Param('id') id: string): Promise<void> {
    await this.policies.remove(id);
  }

  @Post('preview')
  @HttpCode(200)
  @ApiOperation({ operationId: 'previewUnsavedPolicy', summary: 'Shows what a policy would do if it were kept; changes nothing' })
  @ApiOkResponse({ description: 'Next runs, and what retention would remove and why', standardSchema: policyPreviewSchema })
  async previewUnsaved(
    @Body({ schema: policyPreviewRequestSchema }) { policy, replaces, ...options }: z.output<typeof policyPreviewRequestSchema>,
  ): Promise<PolicyPreview> {
    return await this.views.previewUnsaved(policy, replaces, options);
  }

  @Post(':id/preview')
  @HttpCode(200)
  @ApiOperation({ operationId: 'previewPolicy', summary: 'Shows what a policy does next; changes nothing' })
  @ApiParam({ name: 'id', description: 'Id of the policy', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'Next runs, and what retention would remove and why', standardSchema: policyPreviewSchema })
  async preview(@Param('id') id: string, @Body({ schema: previewOptionsSchema }) options: PreviewOptions): Promise<PolicyPreview> {
    return await this.views.preview(id, options);
  }
}
