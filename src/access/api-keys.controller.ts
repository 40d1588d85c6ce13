import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AdministratorsOnly } from './access.guard.js';
import { ApiKeyService, type ApiKeyView } from './api-key.service.js';
import { isOfOrganization, ROLES } from './principal.js';

const ORGANIZATION_URN = /^urn:vcloud:org:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const time = z.iso.datetime();
const apiKeySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().meta({ description: 'The first characters of the key' }),
    role: z.enum(ROLES),
    organizationId: z.string().nullable().meta({ description: 'The one organization the key is of; null is the provider' }),
    createdAt: time,
    lastUsedAt: time.nullable().meta({ description: 'To the minute' }),
    revokedAt: time.nullable(),
  })
  .meta({ id: 'ApiKey' });
const apiKeyListSchema = z.object({ items: z.array(apiKeySchema) }).meta({ id: 'ApiKeyList' });
const newApiKeySchema = apiKeySchema
  .extend({ key: z.string().meta({ description: 'The key itself; it is shown here and never again' }) })
  .meta({ id: 'NewApiKey' });
const apiKeyRequestSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    role: z.enum(ROLES).default('provider-admin'),
    organizationId: z
      .string()
      .regex(ORGANIZATION_URN, 'must be the URN of an organization, such as urn:vcloud:org:3880956d-7b1c-4d3e-9a52-0d6a3f5f1c11')
      .optional()
      .meta({ description: 'Of the roles organization-admin and organization-viewer, and of these always' }),
  })
  .refine(({ role, organizationId }) => isOfOrganization(role) === (organizationId !== undefined), {
    message: 'A key of an organization has the role organization-admin or organization-viewer, and names it by organizationId',
    path: ['organizationId'],
  })
  .meta({ id: 'ApiKeyRequest' });

@ApiTags('api keys')
@AdministratorsOnly()
@Controller('api/v1/api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeyService) {}

  @Get()
  @ApiOperation({ operationId: 'listApiKeys', summary: 'Lists API keys, revoked ones included' })
  @ApiOkResponse({ description: 'All keys, newest first, without their secrets', standardSchema: apiKeyListSchema })
  async list(): Promise<{ items: ApiKeyView[] }> {
    return { items: await this.keys.list() };
  }

  @Post()
  @ApiOperation({ operationId: 'createApiKey', summary: 'Makes an API key and shows it once' })
  @ApiCreatedResponse({ description: 'The new key', standardSchema: newApiKeySchema })
  async create(@Body({ schema: apiKeyRequestSchema }) body: z.output<typeof apiKeyRequestSchema>): Promise<ApiKeyView & { key: string }> {
    const { key, view } = await this.keys.create(body.name, body.role, body.organizationId ?? null);
    return { ...view, key };
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeApiKey', summary: 'Revokes an API key at once' })
  @ApiParam({ name: 'id', description: 'Id of the key', schema: { type: 'string' } })
  @ApiNoContentResponse({ description: 'The key opens nothing any more' })
  async revoke(@Param('id') id: string): Promise<void> {
    await this.keys.revoke(id);
  }
}
