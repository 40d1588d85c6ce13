import { Inject, Injectable, Optional } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { FORMER_MASTER_KEY, MASTER_KEY } from '../config/index.js';
import type { VcdConnection, VcdLogin } from '../vcd/index.js';
import { CloudEntity, type RegisteredVcd, type RegisteredVcenter } from './cloud.entity.js';
import type { CloudLogins, VcdAccount, VcdRegistration, VcenterLogin } from './cloud-sessions.js';
import { CredentialSeal, type SealedSecrets } from './credential-seal.js';
import { cloudNotFound } from './errors.js';
import { ServiceAccountTokens } from './service-account-tokens.js';

/** What is written of a cloud's logins: in the clear what may be shown, sealed what may not. */
export interface StoredLogins {
  vcd: RegisteredVcd;
  vcenters: RegisteredVcenter[];
  sealedPasswords: Buffer;
}

/** Between logins as a person enters them, as the database keeps them, and as the clients take them. */
@Injectable()
export class CloudLoginService {
  private readonly seal: CredentialSeal;

  constructor(
    @InjectRepository(CloudEntity) private readonly clouds: Repository<CloudEntity>,
    private readonly tokens: ServiceAccountTokens,
    @Inject(MASTER_KEY) masterKey: Buffer,
    @Optional() @Inject(FORMER_MASTER_KEY) formerMasterKey?: Buffer | null,
  ) {
    this.seal = new CredentialSeal(masterKey, formerMasterKey);
  }

  /** A service account's token goes on record before anybody uses it. */
  async prepare(registration: VcdRegistration): Promise<{ vcd: RegisteredVcd; secret: string | undefined; connection: VcdConnection }> {
    const { account, ...endpoint } = registration;
    const { vcd, secret } = await this.keepAccount(endpoint, account);
    return { vcd, secret, connection: { ...endpointOf(vcd), ...this.loginOf(vcd, secret) } };
  }

  store(cloudId: string, vcd: RegisteredVcd, secret: string | undefined, vcenters: readonly VcenterLogin[]): StoredLogins {
    const secrets: SealedSecrets = {
      vcenters: Object.fromEntries(vcenters.map((login) => [login.instanceUuid, login.password])),
      ...(secret === undefined ? {} : { vcd: secret }),
    };
    return {
      vcd,
      vcenters: vcenters.map(({ password: _password, ...vcenter }) => vcenter),
      sealedPasswords: this.seal.seal(cloudId, secrets),
    };
  }

  /** @throws CloudError CLOUD_NOT_FOUND, CREDENTIALS_SEALED_OTHERWISE. */
  async read(cloudId: string): Promise<{ cloud: CloudEntity; secret: string | undefined; logins: CloudLogins }> {
    const cloud = await this.clouds.createQueryBuilder('c').addSelect('c.sealedPasswords').where('c.id = :cloudId', { cloudId }).getOne();
    if (cloud === null) throw cloudNotFound(cloudId);
    const secrets = this.seal.open(cloudId, cloud.name, cloud.sealedPasswords);
    return {
      cloud,
      secret: secrets.vcd,
      logins: {
        vcd: { ...endpointOf(cloud.vcd), ...this.loginOf(cloud.vcd, secrets.vcd) },
        vcenters: cloud.vcenters.map((vcenter) => ({ ...vcenter, password: secrets.vcenters[vcenter.instanceUuid] ?? '' })),
      },
    };
  }

  /** Call it when no cloud names the account any more. */
  async forgetAccount(vcd: RegisteredVcd): Promise<void> {
    if (vcd.serviceAccountId !== undefined) await this.tokens.forget(vcd.serviceAccountId);
  }

  private async keepAccount(
    endpoint: Omit<VcdRegistration, 'account'>,
    account: VcdAccount,
  ): Promise<{ vcd: RegisteredVcd; secret: string | undefined }> {
    const { login } = account;
    switch (login) {
      case 'password':
        return { vcd: { ...endpoint, login, userName: account.userName }, secret: account.password };
      case 'api-token':
        return { vcd: { ...endpoint, login }, secret: account.apiToken };
      case 'service-account': {
        const serviceAccountId = await this.tokens.keep(account.serviceAccountToken);
        return { vcd: { ...endpoint, login, serviceAccountId }, secret: undefined };
      }
    }
  }

  private loginOf(vcd: RegisteredVcd, secret = ''): VcdLogin {
    switch (vcd.login) {
      case 'api-token':
        return { kind: 'api-token', apiToken: secret };
      case 'service-account':
        return { kind: 'service-account', token: this.tokens.rotating(vcd.serviceAccountId ?? '') };
      default:
        return { kind: 'password', userName: vcd.userName ?? '', password: secret };
    }
  }
}

export function endpointOf({ url, organization, trust, apiVersion }: RegisteredVcd): Omit<VcdRegistration, 'account'> {
  return { url, organization, trust, ...(apiVersion === undefined ? {} : { apiVersion }) };
}
