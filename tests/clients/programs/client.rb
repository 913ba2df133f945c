# Ruby's Net::HTTP. Usage: BASE NAME FILE; prints the answers as JSON.
require 'json'
require 'net/http'

base, name, file = ARGV
ask = ->(path) { Net::HTTP.get_response(URI(base + path)).tap(&:value).body }
got = { get: JSON.parse(ask.call('/v1/item?q=one')), stream: [] }
got[:post] = JSON.parse(Net::HTTP.post(URI("#{base}/v1/echo"), 'hello there', 'Content-Type' => 'text/plain').body)
uri = URI(base)
Net::HTTP.start(uri.host, uri.port, use_ssl: true) do |http|
  upload = Net::HTTP::Post.new("#{uri.path}/v1/upload", 'Content-Type' => 'application/octet-stream')
  File.open(file, 'rb') do |data|
    upload.body_stream = data
    upload.content_length = data.size
    got[:upload] = JSON.parse(http.request(upload).body)
  end
  http.request(Net::HTTP::Get.new("#{uri.path}/v1/stream")) do |answer|
    answer.read_body do |part|
      ask.call("/v1/item?q=seen-#{name}") if got[:stream].empty?
      got[:stream] += part.scan(/^data: (.*)$/).flatten
    end
  end
end
puts JSON.generate(got)
