// Prints the calls that a declarative Jenkinsfile makes as JSON: groovy jenkinsfile.groovy JENKINSFILE
import groovy.json.JsonOutput
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Declared extends Script {
    static List<List> open = [[]]

    def methodMissing(String name, Object arguments) {
        def words = arguments as List
        def call = [name: name, words: words.findAll { !(it instanceof Closure) }, inside: []]
        open.last() << call
        def body = words.find { it instanceof Closure }
        if (body) {
            open << call.inside
            body.delegate = this
            body.resolveStrategy = Closure.DELEGATE_FIRST
            body.call()
            open.remove(open.size() - 1)
        }
        return call
    }
}

def configuration = new CompilerConfiguration(scriptBaseClass: Declared.name)
def known = new Binding(env: [:].withDefault { "env.$it".toString() }, params: [:].withDefault { "params.$it".toString() })
new GroovyShell(this.class.classLoader, known, configuration).evaluate(new File(args[0]))
def variables = known.variables.findAll { !(it.key in ['env', 'params']) }
println JsonOutput.toJson([calls: Declared.open[0], variables: variables])
