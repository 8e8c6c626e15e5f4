/// A file that was built into the binary.
package struct EmbeddedFile: Sendable {
    /// Its name without the folder, for example `web.yaml`.
    package let name: String
    /// Its bytes, as they stood in `templates/`.
    package let bytes: [UInt8]

    /// The bytes as UTF-8 text.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The templates that are inside the binary; a test holds these lists against the folders.
package enum Templates {
    /// `templates/services`: one service a file.
    package static let services: [EmbeddedFile] = [
        EmbeddedFile(name: "cockpit.yaml", bytes: PackageResources.cockpit_yaml),
        EmbeddedFile(name: "dhcp.yaml", bytes: PackageResources.dhcp_yaml),
        EmbeddedFile(name: "dns.yaml", bytes: PackageResources.dns_yaml),
        EmbeddedFile(name: "dns-over-quic.yaml", bytes: PackageResources.dns_over_quic_yaml),
        EmbeddedFile(name: "dns-over-tls.yaml", bytes: PackageResources.dns_over_tls_yaml),
        EmbeddedFile(name: "docker-api-tls.yaml", bytes: PackageResources.docker_api_tls_yaml),
        EmbeddedFile(name: "elasticsearch.yaml", bytes: PackageResources.elasticsearch_yaml),
        EmbeddedFile(name: "etcd.yaml", bytes: PackageResources.etcd_yaml),
        EmbeddedFile(name: "ftp.yaml", bytes: PackageResources.ftp_yaml),
        EmbeddedFile(name: "git.yaml", bytes: PackageResources.git_yaml),
        EmbeddedFile(name: "grafana.yaml", bytes: PackageResources.grafana_yaml),
        EmbeddedFile(name: "home-assistant.yaml", bytes: PackageResources.home_assistant_yaml),
        EmbeddedFile(name: "influxdb.yaml", bytes: PackageResources.influxdb_yaml),
        EmbeddedFile(name: "ipsec.yaml", bytes: PackageResources.ipsec_yaml),
        EmbeddedFile(name: "irc.yaml", bytes: PackageResources.irc_yaml),
        EmbeddedFile(name: "jellyfin.yaml", bytes: PackageResources.jellyfin_yaml),
        EmbeddedFile(name: "kerberos.yaml", bytes: PackageResources.kerberos_yaml),
        EmbeddedFile(name: "kubernetes-api.yaml", bytes: PackageResources.kubernetes_api_yaml),
        EmbeddedFile(name: "ldap.yaml", bytes: PackageResources.ldap_yaml),
        EmbeddedFile(name: "ldaps.yaml", bytes: PackageResources.ldaps_yaml),
        EmbeddedFile(name: "mail.yaml", bytes: PackageResources.mail_yaml),
        EmbeddedFile(name: "matrix-federation.yaml", bytes: PackageResources.matrix_federation_yaml),
        EmbeddedFile(name: "mdns.yaml", bytes: PackageResources.mdns_yaml),
        EmbeddedFile(name: "memcached.yaml", bytes: PackageResources.memcached_yaml),
        EmbeddedFile(name: "minecraft.yaml", bytes: PackageResources.minecraft_yaml),
        EmbeddedFile(name: "minecraft-bedrock.yaml", bytes: PackageResources.minecraft_bedrock_yaml),
        EmbeddedFile(name: "mongodb.yaml", bytes: PackageResources.mongodb_yaml),
        EmbeddedFile(name: "mosh.yaml", bytes: PackageResources.mosh_yaml),
        EmbeddedFile(name: "mqtt.yaml", bytes: PackageResources.mqtt_yaml),
        EmbeddedFile(name: "mumble.yaml", bytes: PackageResources.mumble_yaml),
        EmbeddedFile(name: "mysql.yaml", bytes: PackageResources.mysql_yaml),
        EmbeddedFile(name: "nfs.yaml", bytes: PackageResources.nfs_yaml),
        EmbeddedFile(name: "ntp.yaml", bytes: PackageResources.ntp_yaml),
        EmbeddedFile(name: "openvpn.yaml", bytes: PackageResources.openvpn_yaml),
        EmbeddedFile(name: "plex.yaml", bytes: PackageResources.plex_yaml),
        EmbeddedFile(name: "pop3.yaml", bytes: PackageResources.pop3_yaml),
        EmbeddedFile(name: "postgres.yaml", bytes: PackageResources.postgres_yaml),
        EmbeddedFile(name: "printing.yaml", bytes: PackageResources.printing_yaml),
        EmbeddedFile(name: "prometheus.yaml", bytes: PackageResources.prometheus_yaml),
        EmbeddedFile(name: "prometheus-node-exporter.yaml", bytes: PackageResources.prometheus_node_exporter_yaml),
        EmbeddedFile(name: "proxmox.yaml", bytes: PackageResources.proxmox_yaml),
        EmbeddedFile(name: "rabbitmq.yaml", bytes: PackageResources.rabbitmq_yaml),
        EmbeddedFile(name: "radius.yaml", bytes: PackageResources.radius_yaml),
        EmbeddedFile(name: "rdp.yaml", bytes: PackageResources.rdp_yaml),
        EmbeddedFile(name: "redis.yaml", bytes: PackageResources.redis_yaml),
        EmbeddedFile(name: "rsync.yaml", bytes: PackageResources.rsync_yaml),
        EmbeddedFile(name: "rtp.yaml", bytes: PackageResources.rtp_yaml),
        EmbeddedFile(name: "samba.yaml", bytes: PackageResources.samba_yaml),
        EmbeddedFile(name: "sieve.yaml", bytes: PackageResources.sieve_yaml),
        EmbeddedFile(name: "sip.yaml", bytes: PackageResources.sip_yaml),
        EmbeddedFile(name: "snmp.yaml", bytes: PackageResources.snmp_yaml),
        EmbeddedFile(name: "squid.yaml", bytes: PackageResources.squid_yaml),
        EmbeddedFile(name: "ssh.yaml", bytes: PackageResources.ssh_yaml),
        EmbeddedFile(name: "syncthing.yaml", bytes: PackageResources.syncthing_yaml),
        EmbeddedFile(name: "syslog.yaml", bytes: PackageResources.syslog_yaml),
        EmbeddedFile(name: "tailscale.yaml", bytes: PackageResources.tailscale_yaml),
        EmbeddedFile(name: "transmission.yaml", bytes: PackageResources.transmission_yaml),
        EmbeddedFile(name: "turn.yaml", bytes: PackageResources.turn_yaml),
        EmbeddedFile(name: "vnc.yaml", bytes: PackageResources.vnc_yaml),
        EmbeddedFile(name: "web.yaml", bytes: PackageResources.web_yaml),
        EmbeddedFile(name: "webmin.yaml", bytes: PackageResources.webmin_yaml),
        EmbeddedFile(name: "wireguard.yaml", bytes: PackageResources.wireguard_yaml),
        EmbeddedFile(name: "xmpp.yaml", bytes: PackageResources.xmpp_yaml),
        EmbeddedFile(name: "zabbix-agent.yaml", bytes: PackageResources.zabbix_agent_yaml),
    ]

    /// `templates/rules`: the skeleton of a rule set; `ruleset.mustache` is its beginning.
    package static let rules: [EmbeddedFile] = [
        EmbeddedFile(name: "admins.mustache", bytes: PackageResources.admins_mustache),
        EmbeddedFile(name: "icmpv6.mustache", bytes: PackageResources.icmpv6_mustache),
        EmbeddedFile(name: "last.mustache", bytes: PackageResources.last_mustache),
        EmbeddedFile(name: "log.mustache", bytes: PackageResources.log_mustache),
        EmbeddedFile(name: "ping.mustache", bytes: PackageResources.ping_mustache),
        EmbeddedFile(name: "replies.mustache", bytes: PackageResources.replies_mustache),
        EmbeddedFile(name: "ruleset.mustache", bytes: PackageResources.ruleset_mustache),
        EmbeddedFile(name: "services.mustache", bytes: PackageResources.services_mustache),
        EmbeddedFile(name: "ssh.mustache", bytes: PackageResources.ssh_mustache),
    ]

    /// `templates/examples`: answers files to start from.
    package static let examples: [EmbeddedFile] = [
        EmbeddedFile(name: "tutorial.yaml", bytes: PackageResources.tutorial_yaml)
    ]
}
