//! The table of built-in services: every file of `services/` by its name, embedded in the binary. It is no parser and
//! knows nothing of what a record says. It is sorted by name, which the loader's binary search rests on.

/// `(name, text of services/name.toml)` for each name.
macro_rules! services {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("services/", $name, ".toml")))),*]
    };
}

/// Every service with its text, sorted by name.
#[rustfmt::skip]
pub(super) const SERVICES: &[(&str, &str)] = services! {
    "abuseipdb" "active-campaign" "affinity" "aha" "ai21" "aircall" "airtable" "alchemy" "algolia" "alienvault-otx"
    "alpaca" "alpha-vantage" "amplitude" "anthropic" "apify" "apitemplate" "apollo" "asana" "ashby" "assemblyai"
    "attio" "axiom" "azure-devops" "azure-openai"
    "bamboohr" "baremetrics" "baserow" "baseten" "beehiiv" "better-stack" "bird" "bitbucket" "brandfetch"
    "brave-search" "braze" "brevo" "brex" "browserbase" "buildkite" "builtwith" "bunny" "buttondown"
    "cal-com" "calendly" "callrail" "canny" "capsule" "cartesia" "cerebras" "chargebee" "chartmogul" "chatwoot"
    "checkhq" "checkly" "chroma-cloud" "circle-so" "circleci" "clerk" "clickhouse" "clicksend" "clickup" "clockify"
    "close" "cloudflare" "cloudinary" "cloudtalk" "coda" "cohere" "coingecko" "coinmarketcap" "confluence"
    "confluent-cloud" "contentful" "contentful-delivery" "copper" "courier" "crates-io" "crisp" "crunchbase" "currents"
    "cursor" "customer-io" "customer-io-pipelines" "customer-io-track"
    "daily" "dashscope" "databricks" "datadog" "datocms" "dbt-cloud" "deel" "deepgram" "deepinfra" "deepl" "deepseek"
    "devin" "diffbot" "digitalocean" "discogs" "discord" "discourse" "dnsimple" "doppler" "drata" "dropbox"
    "dropbox-sign" "dynatrace"
    "e2b" "easypost" "elastic-email" "elasticsearch" "elevenlabs" "etherscan" "everflow" "everhour" "exa"
    "facebook-graph" "fal-ai" "fastly" "fathom" "fathom-analytics" "figma" "fillout" "finnhub" "firecrawl" "fireflies"
    "fireworks" "fivetran" "float" "flutterwave" "fly-io" "freepik" "freshdesk" "freshservice" "freshteam" "front"
    "fullenrich" "fullstory"
    "gandi" "gem" "genius" "getresponse" "ghost-content" "giphy" "gitbook" "gitea" "github" "gitlab" "gladia" "glean"
    "gocardless" "godaddy" "gong" "google-custom-search" "google-gemini" "google-maps" "google-translate" "gorgias"
    "grafana" "granola" "greenhouse-harvest" "greynoise" "grist" "groq" "guardian" "guru"
    "hackerrank-work" "harvest" "hashicorp-vault" "haveibeenpwned" "healthchecks-io" "helpscout-docs" "heroku"
    "hetzner-cloud" "hex" "heygen" "heyreach" "highlevel" "hightouch" "holded" "home-assistant" "honeycomb" "hubspot"
    "huggingface" "humaans-io" "hunter"
    "imagekit" "incident-io" "infura" "insightly" "instantly" "intercom" "ipinfo"
    "jazzhr" "jenkins" "jina" "jira" "jotform" "judgeme" "jumpcloud"
    "kandji" "kit" "klaviyo" "klipfolio" "knock" "knowbe4" "kustomer"
    "langfuse" "langsmith" "lattice" "launchdarkly" "leadmagic" "lemlist" "lemon-squeezy" "lever" "line" "linear"
    "linkedin" "linode" "llamacloud" "lob" "loop-returns" "loops-so" "luma"
    "mailchimp" "mailerlite" "mailersend" "mailgun" "mailjet" "mailtrap" "make" "mapbox" "mastodon" "matrix"
    "mattermost" "meilisearch" "mem0" "mercury" "messagebird" "metabase" "millionverifier" "minimax" "miro" "mistral"
    "mixpanel" "mollie" "monday" "moonshot" "moralis" "mux"
    "n8n" "nasa" "neon" "netlify" "new-relic" "newsapi" "ngrok" "nocodb" "notion" "novu" "npm" "ns1" "nvidia" "nytimes"
    "okta" "ollama-cloud" "omdb" "omnisend" "onepassword-connect" "openai" "opencage" "openexchangerates" "openrouter"
    "opensea" "openweathermap" "opsgenie" "oura"
    "paddle" "pagerduty" "pandadoc" "paystack" "pendo" "peopledatalabs" "perplexity" "persona" "pexels" "phantombuster"
    "pinecone" "pinecone-index" "pingdom" "pipedream" "pipedrive" "pixabay" "plaid" "plain" "planetscale" "plausible"
    "plivo" "polar" "polygon-io" "portkey" "posthog" "postman" "postmark" "postmark-account" "prefect-cloud" "prospeo"
    "pulumi" "pylon" "pypi"
    "qdrant" "quickbase"
    "ragie" "railway" "rapidapi" "rawg" "razorpay" "readme-io" "readwise" "recall-ai" "recharge" "recruitee" "recurly"
    "reddit" "redmine" "remote" "render" "replicate" "reply-io" "resend" "retell-ai" "retool" "ringover" "riot-games"
    "rippling" "rocket-chat" "rocketlane" "rollbar" "rootly" "rubygems" "runpod" "runway"
    "sambanova" "sanity" "scaleway" "scraperapi" "scrapingbee" "securitytrails" "segment" "segment-tracking" "semrush"
    "sendgrid" "sentinelone" "sentry" "serpapi" "serper" "servicenow" "seven-io" "shippo" "shipstation-v1"
    "shipstation-v2" "shodan" "shopify" "shortcut" "slack" "smartlead-ai" "smartrecruiters" "smartsheet" "snipe-it"
    "snyk" "sonarqube-cloud" "sparkpost" "splunk" "square" "stability-ai" "statsig" "statuscake" "statuspage" "steam"
    "stedi" "storyblok" "strapi" "streak" "stripe" "supabase" "supabase-management"
    "tailscale" "tally" "tavily" "teamtailor" "teamwork" "telegram" "telnyx" "terraform" "tiingo" "tldv" "tmdb"
    "todoist" "together" "toggl" "tomtom" "torii" "travis-ci" "trello" "trigger-dev" "turso" "twelve-data" "twilio"
    "typeform" "typefully"
    "umami" "unipile" "unsplash" "uploadcare" "upstash" "upstash-redis" "uptimerobot" "urlscan"
    "vapi" "vercel" "vercel-ai-gateway" "vimeo" "virustotal" "voyage-ai" "vultr"
    "wappalyzer" "weatherapi" "weaviate" "webex" "webflow" "whatsapp-business" "wise" "woocommerce" "wordpress"
    "workable" "workos" "wrike" "wufoo"
    "x" "xai"
    "youcanbook-me" "youtrack" "youtube-data"
    "z-ai" "zammad" "zendesk" "zerobounce" "zulip"
};
