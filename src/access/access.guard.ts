import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { Request } from 'express';
import { ApiKeyService } from './api-key.service.js';
import { bearerToken } from './api-key.js';
import { AccessError } from './errors.js';
import { isAdministrator, type Principal } from './principal.js';

const PUBLIC = 'access:public';
/** Marks a public route in the raw OpenAPI document, for whoever writes its security. */
export const PUBLIC_ROUTE = 'x-public';
const ADMINISTRATORS_ONLY = 'access:administrators-only';
const OPEN_TO_ORGANIZATIONS = 'access:open-to-organizations';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Open to everybody: health and the API's own description. */
export const Public = () => applyDecorators(SetMetadata(PUBLIC, true), ApiExtension(PUBLIC_ROUTE, true));
/** Reading too takes an administrator; without it, a viewer may read and only an administrator may change. */
export const AdministratorsOnly = () => SetMetadata(ADMINISTRATORS_ONLY, true);
/** The route promises to answer a key of an organization with that organization's alone; others are the provider's. */
export const OpenToOrganizations = () => SetMetadata(OPEN_TO_ORGANIZATIONS, true);

declare module 'express-serve-static-core' {
  interface Request {
    principal?: Principal;
  }
}

/** Stands before every route: closed to strangers and to organizations, unless the route says otherwise. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly keys: ApiKeyService,
  ) {}

  /** @throws AccessError API_KEY_REQUIRED, API_KEY_INVALID (401), ACCESS_DENIED (403). */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC, targets)) return true;
    const request = context.switchToHttp().getRequest<Request>();
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) {
      throw new AccessError('An API key is required: send it as "Authorization: Bearer vv_…".', { code: 'API_KEY_REQUIRED' });
    }
    const principal = await this.keys.authenticate(token);
    if (principal === undefined) {
      throw new AccessError('The API key is not known or has been revoked.', { code: 'API_KEY_INVALID' });
    }
    const says = (mark: string) => this.reflector.getAllAndOverride<boolean | undefined>(mark, targets) === true;
    if (principal.organizationId !== null && !says(OPEN_TO_ORGANIZATIONS))
      throw denied(principal, 'only a key of the provider may do this');
    if (!isAdministrator(principal.role) && (says(ADMINISTRATORS_ONLY) || !SAFE_METHODS.has(request.method)))
      throw denied(principal, 'only a key of an administrator may do this');
    request.principal = principal;
    return true;
  }
}

function denied({ name, role }: Principal, why: string): AccessError {
  return new AccessError(`API key "${name}" has the role ${role}, and ${why}.`, {
    code: 'ACCESS_DENIED',
    subject: `API key "${name}"`,
  });
}
