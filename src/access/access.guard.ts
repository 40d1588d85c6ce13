import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { Request } from 'express';
import { ApiKeyService } from './api-key.service.js';
import { bearerToken } from './api-key.js';
import { AccessError } from './errors.js';
import type { Principal, Role } from './principal.js';

const PUBLIC = 'access:public';
/** Marks a public route in the raw OpenAPI document, for whoever writes its security. */
export const PUBLIC_ROUTE = 'x-public';
const NEEDS_ROLE = 'access:role';
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Open to everybody: health and the API's own description. */
export const Public = () => applyDecorators(SetMetadata(PUBLIC, true), ApiExtension(PUBLIC_ROUTE, true));
/** Reading too takes this role; without it, a viewer may read and only an administrator may change. */
export const NeedsRole = (role: Role) => SetMetadata(NEEDS_ROLE, role);

declare module 'express-serve-static-core' {
  interface Request {
    principal?: Principal;
  }
}

/** Stands before every route: closed unless a route says @Public(). */
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
    const needed = this.reflector.getAllAndOverride<Role | undefined>(NEEDS_ROLE, targets);
    const enough = principal.role === 'provider-admin' || (needed !== 'provider-admin' && SAFE_METHODS.has(request.method));
    if (!enough) {
      throw new AccessError(`API key "${principal.name}" (role ${principal.role}) may not do this.`, {
        code: 'ACCESS_DENIED',
        subject: `API key "${principal.name}"`,
      });
    }
    request.principal = principal;
    return true;
  }
}
