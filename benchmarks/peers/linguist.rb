# GitHub Linguist's own answers: reads paths below the folder ARGV[0], one a line, and prints, separated by tabs,
# the id of the language (- for none), whether the file is generated and whether it is vendored.
require 'linguist'

STDIN.each_line(chomp: true) do |path|
  blob = Linguist::FileBlob.new(File.join(ARGV[0], path), ARGV[0])
  language = blob.binary? ? nil : blob.language
  puts [language ? language.language_id : '-', blob.generated?, blob.vendored?].join("\t")
end
